// Shows the scene that is inside the page. Nothing is fetched: libraries and scene are texts in it, in base64.
import { Drawing } from "./drawing.js";
import { Navigation } from "./navigation.js";

const status = document.getElementById("status");

function failed(what, error) {
  status.textContent = `${what} (${error && error.message ? error.message : error})`;
  throw error;
}

function bytesOf(id) {
  const text = atob(document.getElementById(id).textContent);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  document.getElementById(id).textContent = ""; // once in memory is enough
  return bytes;
}

async function libraries() {
  const packed = new Blob([bytesOf("libraries")]).stream();
  const code = await new Response(packed.pipeThrough(new DecompressionStream("gzip"))).text();
  return import(URL.createObjectURL(new Blob([code], { type: "text/javascript" })));
}

const lib = await libraries().catch((e) => failed("This browser is too old to show the scene", e));
const start = JSON.parse(document.getElementById("view").textContent);
let drawing;
try {
  drawing = new Drawing(lib, document.body, start.look);
} catch (error) {
  failed("The scene is drawn with WebGL 2, which this browser or its graphics driver does not offer", error);
}
const navigation = new Navigation(lib, drawing.canvas, start, () => drawing.touch());
const format = document.getElementById("scene").dataset.format;
await drawing.show(bytesOf("scene"), `scene.${format}`).catch((e) => failed("The scene cannot be read", e));

function resize() {
  drawing.resize(innerWidth, innerHeight);
  navigation.resize(innerWidth, innerHeight);
}

// Turning goes on around the splat under the pointer.
function focus(event) {
  const place = new lib.Vector2((event.clientX / innerWidth) * 2 - 1, 1 - (event.clientY / innerHeight) * 2);
  const point = drawing.pointAt(place, navigation.camera);
  if (point) navigation.focus(point);
}

const backgrounds = [0x000000, 0xffffff, 0x808080];
let background = 0;
const keys = {
  0: () => navigation.reset(),
  v: () => navigation.fly(!navigation.flying),
  b: () => (drawing.background = backgrounds[(background = (background + 1) % backgrounds.length)]),
  enter: () => (document.fullscreenElement ? document.exitFullscreen() : document.body.requestFullscreen()),
};
addEventListener("keydown", (event) => {
  if (!event.ctrlKey && !event.metaKey && !event.altKey) keys[event.key.toLowerCase()]?.();
});
addEventListener("resize", resize);
drawing.canvas.addEventListener("dblclick", focus);

resize();
const help = document.getElementById("help");
help.className = "shown";
setTimeout(() => (help.className = ""), 6000);
status.remove();
let before = performance.now();
drawing.renderer.setAnimationLoop((now) => {
  navigation.update((now - before) / 1000);
  before = now;
  drawing.update(navigation.camera);
});
document.body.dataset.ready = "yes";
