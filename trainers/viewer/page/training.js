// What is known of the training: its curves, and, while it goes on, how far it is and the scene as it becomes.

const EVERY = 1000; // milliseconds between two looks at how far it is
const CURVE_EVERY = 5000;
const [WIDTH, HEIGHT, LEFT, BOTTOM] = [300, 110, 26, 14];

export class Training {
  constructor(stage, about, json) {
    Object.assign(this, { stage, about, json });
    this.section = document.getElementById("training");
    this.facts = document.getElementById("facts");
  }

  // Shows a state of the server.
  tell({ num, version, training }) {
    this.facts.textContent = `${(training?.num_gaussians || num).toLocaleString("en")} Gaussians`;
    document.body.dataset.known = version;
    if (!training) return;
    this.section.hidden = false;
    const { step, steps, loss, psnr, ended } = training;
    document.body.dataset.step = step;
    const numbers = step ? `, loss ${loss.toFixed(4)}, PSNR ${psnr.toFixed(2)} dB` : "";
    this.section.querySelector(".numbers").textContent =
      `${ended ? "finished, " : ""}step ${step.toLocaleString("en")} of ${steps.toLocaleString("en")}${numbers}`;
    this.section.querySelector("progress").value = step / steps;
  }

  // Keeps up with a training until it or its program ends.
  follow(state) {
    this.going = !state.training?.ended;
    this.#watch();
    this.#refresh(state.version);
    this.#curves();
  }

  async #watch() {
    while (this.going) {
      await pause(EVERY);
      if (document.hidden) continue;
      try {
        const state = await this.json("state");
        this.tell(state);
        if (state.training?.ended) this.#end("");
      } catch {
        this.#end("The training's program has ended; this is the last that it showed.");
      }
    }
  }

  async #refresh(version) {
    while (this.going || this.last) {
      if (document.hidden && this.going) {
        await pause(EVERY);
        continue;
      }
      try {
        const state = await this.json(`newer?after=${version}`);
        if (state.version > version) {
          version = state.version;
          await this.stage.load();
        } else if (!this.going) return;
      } catch {
        return;
      }
      if (!this.going) return;
    }
  }

  async #curves() {
    while (this.going) {
      if (!document.hidden) await this.curve();
      await pause(CURVE_EVERY);
    }
    await this.curve();
  }

  #end(text) {
    this.going = false;
    this.stage.told(text);
  }

  // Draws the curves of the history.
  async curve() {
    let entries = [];
    try {
      entries = await this.json("history");
    } catch {
      return;
    }
    const points = (name) => entries.filter((entry) => Number.isFinite(entry[name])).map((e) => [e.step, e[name]]);
    const [train, test] = [points("psnr"), points("test_psnr")];
    if (train.length < 2) return;
    this.section.hidden = false;
    this.section.querySelector("progress").hidden = !this.about.live;
    draw(this.section.querySelector("svg"), smoothed(train), test);
    const last = test.at(-1);
    const legend = this.section.querySelector(".legend");
    legend.replaceChildren(coloured("train", "PSNR of training views, smoothed"));
    if (last) legend.append(", ", coloured("test", `of test views: ${last[1].toFixed(2)} dB`));
  }
}

function coloured(name, text) {
  return Object.assign(document.createElement("span"), { className: name, textContent: text });
}

function smoothed(points) {
  const reach = Math.max(Math.floor(points.length / 40), 2);
  return points.map(([x], i) => {
    const near = points.slice(Math.max(i - reach, 0), i + reach + 1);
    return [x, near.reduce((sum, [, y]) => sum + y, 0) / near.length];
  });
}

function draw(svg, train, test) {
  const all = [...train, ...test];
  const right = Math.max(...all.map(([x]) => x));
  const low = Math.floor(Math.min(...all.map(([, y]) => y)));
  const high = Math.max(Math.ceil(Math.max(...all.map(([, y]) => y))), low + 1);
  const place = ([x, y]) => [
    LEFT + (x / right) * (WIDTH - LEFT - 4),
    4 + ((high - y) / (high - low)) * (HEIGHT - BOTTOM - 8),
  ];
  const line = (points, name) => element("polyline", { class: name, points: points.map(place).join(" ") });
  const axis = element("path", { class: "axis", fill: "none", d: `M${LEFT} 4V${HEIGHT - BOTTOM}H${WIDTH - 4}` });
  svg.replaceChildren(
    axis, line(train, "train"), line(test, "test"),
    ...test.map((point) => element("circle", { class: "test", r: 2.2, cx: place(point)[0], cy: place(point)[1] })),
    element("text", { x: 0, y: 12 }, high), element("text", { x: 0, y: HEIGHT - BOTTOM }, low),
    element("text", { x: WIDTH - 4, y: HEIGHT - 2, "text-anchor": "end" }, `${right.toLocaleString("en")} steps`),
    element("text", { x: LEFT, y: HEIGHT - 2 }, "dB"),
  );
}

function element(name, attributes, text = "") {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.textContent = text;
  return made;
}

function pause(milliseconds) {
  return new Promise((done) => setTimeout(done, milliseconds));
}
