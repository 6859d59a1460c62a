// The page of a viewer: what there is, put together.
import { Overlay } from "./overlay.js";
import { PathEditor } from "./path.js";
import { Photographs } from "./photographs.js";
import { Picking } from "./picking.js";
import { settings } from "./settings.js";
import { Stage } from "./stage.js";
import { Training } from "./training.js";

const status = document.getElementById("status");

async function json(address) {
  const answer = await fetch(address);
  if (!answer.ok) throw new Error(await answer.text());
  return answer.json();
}

try {
  const [lib, about, state] = await Promise.all([
    import("../libraries.js"),
    json("about"),
    json("state"),
  ]);
  document.title = `${about.name} · gsplat-core`;
  document.querySelector("#panel h1").textContent = about.name;
  for (const note of about.notes) document.getElementById("notes").append(listed(note));

  const stage = new Stage(lib, document.getElementById("stage"), about);
  stage.told = (text) => (status.textContent = text);
  const overlay = new Overlay(lib, stage);
  const photographs = new Photographs(stage, overlay, about);
  new PathEditor(lib, stage, overlay, about);
  new Picking(stage, overlay);
  settings(stage, overlay);
  const training = new Training(stage, about, json);
  training.tell(state);
  await stage.load();
  if (about.live) training.follow(state);
  else training.curve();
  photographs.arrange();
  document.body.dataset.ready = "yes";
} catch (error) {
  status.textContent = `The page cannot be shown: ${error.message ?? error}`;
  throw error;
}

function listed(text) {
  const item = document.createElement("li");
  item.textContent = text;
  return item;
}

document.getElementById("fold").addEventListener("click", (event) => {
  const folded = document.body.classList.toggle("folded");
  event.currentTarget.setAttribute("aria-expanded", String(!folded));
});
