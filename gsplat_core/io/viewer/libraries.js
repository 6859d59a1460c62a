// What the page of an exported scene needs of its libraries. `make viewer` bundles them, minified and
// compressed, into libraries.js.gz beside this file; libraries.json says which versions these are.
export { PerspectiveCamera, Raycaster, Scene, Vector2, WebGLRenderer } from "three";
export { OrbitControls } from "three/addons/controls/OrbitControls.js";
export { SparkRenderer, SplatMesh } from "@sparkjsdev/spark";
