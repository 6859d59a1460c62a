// What the pages that show a scene need of their libraries. `make viewer` bundles them, minified and compressed,
// into libraries.js.gz beside this file; libraries.json says which versions these are.
export { PerspectiveCamera, Raycaster, Scene, Vector2, Vector3, WebGLRenderer } from "three";
export { FlyControls } from "three/addons/controls/FlyControls.js";
export { OrbitControls } from "three/addons/controls/OrbitControls.js";
export { SparkRenderer, SplatMesh, dyno } from "@sparkjsdev/spark";
