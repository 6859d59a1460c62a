// The scene in the window: drawn by the browser, or as a picture that the server renders whenever the camera has moved.
import { Drawing } from "./drawing.js";
import { Navigation } from "./navigation.js";

const PAUSE = 200; // milliseconds without motion after which a picture of full size is asked for
const ROUGH = 3; // by which factor pictures are smaller while one moves

export class Stage {
  constructor(lib, element, about) {
    this.lib = lib;
    this.element = element;
    this.about = about;
    this.still = document.getElementById("still");
    this.told = () => {};
    this.each = []; // called when the camera or the window has changed
    this.frames = []; // called with every frame: seconds since the one before
    this.settings = {
      output: "color",
      drawnBy: "browser",
      degree: about.degree,
      size: 1,
      background: about.background === "white" ? "#ffffff" : "#000000",
      crop: null,
    };
    if (about.browser) {
      try {
        this.drawing = new Drawing(lib, element, about.start.look);
        this.drawing.background = this.settings.background;
      } catch {
        const note = document.createElement("li");
        note.textContent = "This browser offers no WebGL 2: pictures are rendered by the server.";
        document.getElementById("notes").append(note);
      }
    }
    if (!this.drawing) this.settings.drawnBy = "server";
    this.navigation = new Navigation(lib, element, about.start, () => this.#moved());
    element.addEventListener("dblclick", (event) => this.#focus(event));
    new ResizeObserver(() => this.#resize()).observe(element);
    this.#resize();
    this.before = performance.now();
    requestAnimationFrame((now) => this.#frame(now));
  }

  // Whether the browser itself draws what is wanted.
  get drawn() {
    return Boolean(this.drawing) && this.settings.output === "color" && this.settings.drawnBy === "browser";
  }

  // Fetches the scene as it is now.
  async load() {
    if (this.drawing) {
      if (!this.drawing.splats) this.told("Loading the scene ...");
      const answer = await fetch("scene");
      if (!answer.ok) throw new Error(await answer.text());
      await this.drawing.show(await answer.arrayBuffer(), "scene.ply");
      document.body.dataset.version = answer.headers.get("X-Version");
      this.told("");
    }
    this.#moved();
  }

  // Changes what is drawn: some of the entries of `settings`.
  change(settings) {
    Object.assign(this.settings, settings);
    if (this.drawing) {
      if ("degree" in settings) this.drawing.harmonics = settings.degree;
      if ("size" in settings) this.drawing.size = settings.size;
      if ("crop" in settings) this.drawing.crop = settings.crop;
      if ("background" in settings) this.drawing.background = settings.background;
    }
    this.#moved();
  }

  // The address of a picture, or of what else there is of one, of a view of the photographs or from where one stands.
  address({ view, output, width, height, what = "still" }) {
    const { settings, navigation } = this;
    const query = new URLSearchParams({
      output: output ?? settings.output,
      degree: settings.degree,
      size: settings.size,
      background: settings.background.slice(1),
    });
    if (width) query.set("width", Math.max(Math.round(width), 1));
    if (height) query.set("height", Math.max(Math.round(height), 1));
    if (settings.crop) query.set("crop", settings.crop.flat().join());
    if (view !== undefined) query.set("view", view);
    else for (const [name, value] of Object.entries(navigation.view)) query.set(name, [value].flat().join());
    return `${what}?${query}`;
  }

  async screenshot() {
    if (this.drawn) return this.drawing.screenshot(this.navigation.camera);
    const { width, height } = this.#pixels();
    return (await fetch(this.address({ width, height }))).blob();
  }

  #focus(event) {
    const { left, top, width, height } = this.element.getBoundingClientRect();
    const place = new this.lib.Vector2(
      ((event.clientX - left) / width) * 2 - 1,
      1 - ((event.clientY - top) / height) * 2,
    );
    const hit = this.drawn ? this.drawing.pointAt(place, this.navigation.camera) : null;
    this.navigation.focus(hit ?? this.navigation.pointAt(place));
  }

  #resize() {
    const { clientWidth: width, clientHeight: height } = this.element;
    if (!width || !height) return;
    this.drawing?.resize(width, height);
    this.navigation.resize(width, height);
  }

  #moved() {
    this.drawing?.touch();
    this.movedAt = performance.now();
    this.fresh = false;
    this.still.hidden = this.drawn;
    for (const changed of this.each) changed();
  }

  #frame(now) {
    const seconds = Math.min((now - this.before) / 1000, 0.2);
    this.before = now;
    this.navigation.update(seconds);
    for (const step of this.frames) step(seconds);
    if (this.drawn) this.drawing.update(this.navigation.camera);
    else if (!this.asking && !this.fresh) this.#picture(now - this.movedAt > PAUSE);
    requestAnimationFrame((next) => this.#frame(next));
  }

  #pixels() {
    const ratio = Math.min(devicePixelRatio, 2);
    return { width: this.element.clientWidth * ratio, height: this.element.clientHeight * ratio };
  }

  // A picture of the server; a rough one, and then that of full size once nothing moves any more.
  async #picture(full) {
    const asked = this.movedAt;
    if (this.roughOf === asked && !full) return;
    const { width, height } = this.#pixels();
    const part = full ? 1 : 1 / ROUGH;
    this.asking = true;
    try {
      const answer = await fetch(this.address({ width: width * part, height: height * part }));
      if (!answer.ok) throw new Error(await answer.text());
      const picture = URL.createObjectURL(await answer.blob());
      this.still.src = picture;
      await this.still.decode().catch(() => {});
      URL.revokeObjectURL(picture);
      this.roughOf = asked;
      this.fresh = full && this.movedAt === asked;
      document.body.dataset.pictures = Number(document.body.dataset.pictures ?? 0) + 1;
      this.told("");
    } catch (error) {
      this.told(`No picture: ${error.message}`);
      this.fresh = true; // until something moves
    } finally {
      this.asking = false;
    }
  }
}
