// What a click with the shift key hits: the Gaussian there, its label, and how many photographs show it.

export class Picking {
  constructor(stage, overlay) {
    this.stage = stage;
    this.overlay = overlay;
    this.line = document.getElementById("picked");
    overlay.picked = (event) => this.pick(event);
  }

  async pick(event) {
    const { left, top, width, height } = this.stage.element.getBoundingClientRect();
    const at = [event.clientX - left, event.clientY - top];
    const answer = await fetch(`${this.stage.address({ what: "pick", width, height })}&at=${at}`);
    this.line.hidden = false;
    this.line.textContent = answer.ok ? told(await this.#marked(answer)) : await answer.text();
  }

  async #marked(answer) {
    const hit = await answer.json();
    this.overlay.mark = hit.point;
    this.overlay.draw();
    return hit;
  }
}

function told({ gaussian, point, label, photographs, of }) {
  if (gaussian === null) return "There is nothing.";
  const parts = [`Gaussian ${gaussian} at ${point.map((value) => value.toPrecision(4)).join(", ")}`];
  if (label !== null) parts.push(`label ${label}`);
  if (of) parts.push(`in ${photographs} of ${of} photographs`);
  return `${parts.join("; ")}.`;
}
