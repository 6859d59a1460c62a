// The photographs: their cameras in the scene, and each beside what the scene looks like from there.

const SIZE = 0.07; // of a frustum, in parts of the scene's radius
const WIDEST = 1; // tangent of half an opening angle beyond which lenses are drawn narrower

export class Photographs {
  constructor(stage, overlay, about) {
    this.stage = stage;
    this.about = about;
    this.views = about.views;
    this.section = document.getElementById("photographs");
    this.window = document.getElementById("compare");
    if (!this.views.length) return;
    this.section.hidden = false;
    overlay.frusta = this.views.map((view) => frustum(view, SIZE * about.radius));
    overlay.chosen = (number) => this.compare(number);
    this.section.querySelector('[data-set="frusta"]').addEventListener("change", (event) => {
      overlay.shown = event.target.checked;
      overlay.draw();
    });
    this.#thumbnails();
    const actions = {
      previous: () => this.compare(this.number - 1),
      next: () => this.compare(this.number + 1),
      there: () => this.stand(this.number),
      close: () => (this.window.hidden = true),
    };
    for (const [name, act] of Object.entries(actions))
      this.window.querySelector(`[data-do="${name}"]`).addEventListener("click", act);
    this.window.querySelector("select").addEventListener("change", () => this.arrange());
    const divider = document.getElementById("divider");
    divider.addEventListener("input", () =>
      this.window.style.setProperty("--divider", `${divider.value}%`));
    addEventListener("keydown", (event) => {
      if (this.window.hidden || event.target.matches?.("input, select")) return;
      const key = { ArrowLeft: "previous", ArrowRight: "next", Escape: "close" }[event.key];
      if (key) actions[key]();
    });
  }

  arrange() {
    const arrangement = this.window.querySelector("select").value;
    this.window.querySelector(".pictures").className = `pictures ${arrangement}`;
    document.getElementById("divider").hidden = arrangement !== "split";
  }

  // Shows a photograph, counted from 0, beside the rendering and their difference.
  compare(number) {
    this.number = (number + this.views.length) % this.views.length;
    const view = this.views[this.number];
    this.window.querySelector("h2").textContent = view.name + (view.test ? " (test view)" : "");
    const width = Math.min(this.stage.element.clientWidth * Math.min(devicePixelRatio, 2), 1600);
    for (const figure of this.window.querySelectorAll("figure")) {
      const image = figure.querySelector("img");
      image.src = this.stage.address({ view: this.number, output: figure.dataset.of, width });
      image.alt = `${figure.dataset.of} of ${view.name}`;
    }
    this.window.hidden = false;
    this.arrange();
  }

  // Looks from where a photograph was taken, with its lens.
  stand(number) {
    const { viewmat, focal, size } = this.views[number];
    const position = placed(viewmat, [0, 0, 0]);
    this.window.hidden = true;
    this.stage.navigation.look({
      position,
      target: placed(viewmat, [0, 0, this.about.radius]),
      up: placed(viewmat, [0, -1, 0]).map((value, i) => value - position[i]),
      fov: (Math.min(Math.atan(size[1] / 2 / focal[1]), 1.4) * 360) / Math.PI,
    });
  }

  #thumbnails() {
    const list = this.section.querySelector(".thumbnails");
    this.views.forEach((view, number) => {
      const image = Object.assign(document.createElement("img"), { loading: "lazy", alt: view.name });
      const button = Object.assign(document.createElement("button"), { title: view.name });
      if (view.test) button.className = "test";
      button.addEventListener("click", () => this.compare(number));
      button.append(image);
      list.append(button);
    });
    // Not before somebody looks: photographs are read for it.
    this.section.addEventListener("toggle", () => {
      if (!this.section.open) return;
      list.querySelectorAll("img").forEach((image, view) => {
        image.src ||= this.stage.address({ view, output: "photograph", width: 160 });
      });
    });
  }
}

// A point of a camera's coordinates (x right, y down, z ahead) in those of the scene.
function placed(viewmat, point) {
  const moved = point.map((value, i) => value - viewmat[i][3]);
  return [0, 1, 2].map((column) => moved.reduce((sum, value, row) => sum + viewmat[row][column] * value, 0));
}

function frustum({ viewmat, focal, middle, size, model, name, test }, depth) {
  const plain = model === "pinhole" || model === "opencv";
  const tangent = (pixel, axis) => {
    const value = plain ? (pixel - middle[axis]) / focal[axis] : Math.sign(pixel - middle[axis]);
    return Math.max(-WIDEST, Math.min(WIDEST, value));
  };
  const [left, right] = [tangent(0, 0), tangent(size[0], 0)];
  const [top, bottom] = [tangent(0, 1), tangent(size[1], 1)];
  const corners = [[left, top], [right, top], [right, bottom], [left, bottom]];
  return {
    apex: placed(viewmat, [0, 0, 0]),
    corners: corners.map(([x, y]) => placed(viewmat, [x * depth, y * depth, depth])),
    depth,
    name,
    test,
  };
}
