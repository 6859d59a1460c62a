// The editor of camera paths: views to pass through, and the file that `gsplat-core render --path` takes. The curve is
// that of trainers/keyed_path.py.
import { download } from "./settings.js";

const FINENESS = 24; // pieces of the curve per key

export class PathEditor {
  constructor(lib, stage, overlay, about) {
    Object.assign(this, { stage, overlay, about, keys: [], playing: null });
    this.section = document.getElementById("path");
    const find = (selector) => this.section.querySelector(selector);
    this.field = (name) => find(`[data-set="${name}"]`);
    this.list = find("ol");
    this.play = find('[data-do="play"]');
    this.command = find("code");
    find('[data-do="add"]').addEventListener("click", () => this.#set([...this.keys, stage.navigation.view]));
    find('[data-do="save"]').addEventListener("click", () => this.#save());
    this.play.addEventListener("click", () => this.#play(this.playing === null));
    this.field("closed").addEventListener("change", () => this.#set(this.keys));
    find('input[type="file"]').addEventListener("change", (event) => this.#open(event.target));
    stage.frames.push((seconds) => this.#step(seconds));
    this.#set([]);
  }

  get closed() {
    return this.field("closed").checked;
  }

  // The view at a time from 0 to 1.
  at(time) {
    const { keys, closed } = this;
    const spans = closed ? keys.length : keys.length - 1;
    if (spans === 0) return keys[0];
    const span = Math.min(Math.floor(time * spans), spans - 1);
    const [before, start, end, after] = [-1, 0, 1, 2].map((i) => this.#key(span + i));
    const t = time * spans - span;
    return joined(start.map((s, i) => {
      const [b, e, a] = [before[i], end[i], after[i]];
      return s + (t / 2) * (e - b + t * (2 * b - 5 * s + 4 * e - a + t * (3 * (s - e) + a - b)));
    }));
  }

  // The numbers of a key; beyond the ends of an open path, the end mirrors the key next to it.
  #key(number) {
    const { length } = this.keys;
    if (this.closed) return parts(this.keys[(number + length) % length]);
    const [end, next] = number < 0 ? [0, 1] : number >= length ? [length - 1, length - 2] : [number, null];
    const key = parts(this.keys[end]);
    return next === null ? key : key.map((value, i) => 2 * value - parts(this.keys[next])[i]);
  }

  #set(keys) {
    this.keys = keys;
    this.list.replaceChildren(...keys.map((key, i) => this.#row(key, i)));
    this.play.disabled = keys.length < 2;
    const pieces = keys.length > 1 ? keys.length * FINENESS : 0;
    const curve = Array.from({ length: pieces + 1 }, (_, i) => (pieces ? this.at(i / pieces).position : null));
    this.overlay.path = keys.length ? { curve: pieces ? curve : [], keys: keys.map((key) => key.position) } : null;
    this.command.textContent = "";
    this.overlay.draw();
  }

  #row(key, number) {
    const row = document.createElement("li");
    row.append(`view, ${Math.round(key.fov)}°`);
    const button = (text, title, act) => {
      const made = Object.assign(document.createElement("button"), { textContent: text, title });
      made.addEventListener("click", act);
      row.append(made);
    };
    button("go", "Look from there", () => this.stage.navigation.look(key));
    button("set", "Take the present view instead", () =>
      this.#set(this.keys.with(number, this.stage.navigation.view)));
    button("×", "Remove", () => this.#set(this.keys.toSpliced(number, 1)));
    return row;
  }

  #play(on) {
    this.playing = on ? 0 : null;
    this.play.textContent = on ? "Stop" : "Play";
  }

  #step(seconds) {
    if (this.playing === null) return;
    this.playing += seconds / Math.max(Number(this.field("seconds").value), 0.1);
    if (this.playing >= 1 && !this.closed) {
      this.stage.navigation.look(this.at(1));
      return this.#play(false);
    }
    this.playing %= 1;
    this.stage.navigation.look(this.at(this.playing));
  }

  #save() {
    if (!this.keys.length) return this.stage.told("A path needs at least one view.");
    const number = (name) => Number(this.field(name).value);
    const file = {
      seconds: number("seconds"), closed: this.closed, width: number("width"), height: number("height"),
      keys: this.keys,
    };
    download(new Blob([JSON.stringify(file, null, 2)], { type: "application/json" }), "path.json");
    this.command.textContent = `gsplat-core render ${this.about.source} --path path.json -o path.mp4`;
  }

  async #open(input) {
    try {
      const file = JSON.parse(await input.files[0].text());
      const keys = file.keys.map(({ position, target, up, fov }) => ({ position, target, up, fov }));
      if (!keys.every((key) => parts(key).length === 10 && parts(key).every(Number.isFinite))) throw new Error();
      for (const name of ["seconds", "width", "height"]) if (file[name]) this.field(name).value = file[name];
      this.field("closed").checked = Boolean(file.closed);
      this.#set(keys);
    } catch {
      this.stage.told("This file is no camera path.");
    }
    input.value = "";
  }
}

function parts({ position, target, up, fov }) {
  return [...position, ...target, ...up, fov];
}

function joined(numbers) {
  const [position, target, up] = [0, 3, 6].map((i) => numbers.slice(i, i + 3));
  return { position, target, up, fov: numbers[9] };
}
