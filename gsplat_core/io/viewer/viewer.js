// Shows the scene that is inside the page. Nothing is fetched: libraries and scene are texts in it, in base64.
const status = document.getElementById("status");

function failed(what, error) {
  status.textContent = `${what} (${error && error.message ? error.message : error})`;
  throw error;
}

function bytesOf(id) {
  const text = atob(document.getElementById(id).textContent);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  document.getElementById(id).textContent = "";  // once in memory is enough
  return bytes;
}

async function libraries() {
  const packed = new Blob([bytesOf("libraries")]).stream();
  const code = await new Response(packed.pipeThrough(new DecompressionStream("gzip"))).text();
  return import(URL.createObjectURL(new Blob([code], { type: "text/javascript" })));
}

const lib = await libraries().catch((e) => failed("This browser is too old to show the scene", e));
let renderer;
try {
  renderer = new lib.WebGLRenderer({ antialias: false, powerPreference: "high-performance" });
} catch (error) {
  failed("The scene is drawn with WebGL 2, which this browser or its graphics driver does not offer", error);
}
document.body.prepend(renderer.domElement);

const scene = new lib.Scene();
const start = JSON.parse(document.getElementById("view").textContent);
const camera = new lib.PerspectiveCamera(start.fov, 1, start.near, start.far);
scene.add(new lib.SparkRenderer({ renderer }));
const format = document.getElementById("scene").dataset.format;
const splats = new lib.SplatMesh({ fileBytes: bytesOf("scene"), fileName: `scene.${format}` });
scene.add(splats);
await splats.initialized.catch((e) => failed("The scene cannot be read", e));

const controls = new lib.OrbitControls(camera, renderer.domElement);
controls.enableDamping = true;
controls.zoomToCursor = true;

function reset() {
  camera.up.fromArray(start.up);
  camera.position.fromArray(start.position);
  controls.target.fromArray(start.target);
  controls.update();
}

function resize() {
  renderer.setPixelRatio(Math.min(devicePixelRatio, 2));
  renderer.setSize(innerWidth, innerHeight);
  camera.aspect = innerWidth / innerHeight;
  camera.updateProjectionMatrix();
}

// Turning goes on around the splat under the pointer.
function focus(event) {
  const place = new lib.Vector2((event.clientX / innerWidth) * 2 - 1, 1 - (event.clientY / innerHeight) * 2);
  const ray = new lib.Raycaster();
  ray.setFromCamera(place, camera);
  const [hit] = ray.intersectObject(splats);
  if (hit) controls.target.copy(hit.point);
}

const backgrounds = [0x000000, 0xffffff, 0x808080];
let background = 0;
const keys = {
  r: reset,
  b: () => renderer.setClearColor(backgrounds[(background = (background + 1) % backgrounds.length)]),
  f: () => (document.fullscreenElement ? document.exitFullscreen() : document.body.requestFullscreen()),
};
addEventListener("keydown", (event) => {
  if (!event.ctrlKey && !event.metaKey && !event.altKey) keys[event.key.toLowerCase()]?.();
});
addEventListener("resize", resize);
renderer.domElement.addEventListener("dblclick", focus);

resize();
reset();
const help = document.getElementById("help");
help.className = "shown";
setTimeout(() => (help.className = ""), 6000);
status.remove();
renderer.setAnimationLoop(() => {
  controls.update();
  renderer.render(scene, camera);
});
document.body.dataset.ready = "yes";
