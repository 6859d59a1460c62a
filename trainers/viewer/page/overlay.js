// Lines over the scene: the cameras of the photographs, the camera path, the crop box.

const NEAR = 14; // pixels within which a click means a camera
const CLEAR = 4; // sizes of a frustum around the own camera, in which there would be nothing else to be seen

export class Overlay {
  constructor(lib, stage) {
    this.stage = stage;
    this.point = new lib.Vector3();
    this.canvas = document.getElementById("overlay");
    this.tip = document.getElementById("tip");
    this.frusta = []; // { apex, corners: four, depth, name, test }
    this.path = null; // { curve: places, keys: places }
    this.box = null; // two corners
    this.shown = true;
    this.mark = null; // a point
    this.chosen = () => {};
    this.picked = () => {};
    stage.each.push(() => this.draw());
    stage.element.addEventListener("pointerdown", (event) => (this.pressed = [event.clientX, event.clientY]));
    stage.element.addEventListener("click", (event) => this.#click(event));
    stage.element.addEventListener("pointermove", (event) => this.#hover(event));
  }

  draw() {
    const { clientWidth: width, clientHeight: height } = this.stage.element;
    const ratio = devicePixelRatio;
    Object.assign(this.canvas, { width: width * ratio, height: height * ratio });
    const pen = this.canvas.getContext("2d");
    pen.scale(ratio, ratio);
    this.stage.navigation.camera.updateMatrixWorld();
    this.frusta.forEach((frustum, i) => {
      if (this.shown && this.#isClear(frustum)) this.#frustum(pen, frustum, i === this.hovered);
    });
    if (this.path) this.#path(pen);
    if (this.box) this.#box(pen);
    if (this.mark) this.#dot(pen, this.mark, "#ffe14d", 5);
  }

  #isClear({ apex, depth }) {
    const { position } = this.stage.navigation.camera;
    return position.distanceTo(this.point.fromArray(apex)) > CLEAR * depth;
  }

  #frustum(pen, { apex, corners, test }, hovered) {
    const lines = corners.map((corner) => [apex, corner]);
    const frame = corners.map((corner, i) => [corner, corners[(i + 1) % 4]]);
    this.#lines(pen, [...lines, ...frame], hovered ? "#ffffff" : test ? "#e69f00" : "#56b4e9", hovered ? 2.5 : 1.25);
  }

  #path(pen) {
    const { curve, keys } = this.path;
    this.#lines(pen, curve.slice(1).map((place, i) => [curve[i], place]), "#ff5fa2", 2);
    for (const key of keys) this.#dot(pen, key, "#ff5fa2", 4);
  }

  #dot(pen, place, colour, radius) {
    const [x, y, ahead] = this.#screen(place);
    if (!ahead) return;
    pen.fillStyle = colour;
    pen.beginPath();
    pen.arc(x, y, radius, 0, 7);
    pen.fill();
  }

  #box(pen) {
    const corner = (i) => [0, 1, 2].map((axis) => this.box[(i >> axis) & 1][axis]);
    const edges = [];
    for (let i = 0; i < 8; i++)
      for (const bit of [1, 2, 4]) if (!(i & bit)) edges.push([corner(i), corner(i | bit)]);
    this.#lines(pen, edges, "#8ae234", 1.25);
  }

  // Segments between points of the scene; what of them is behind the camera is cut off.
  #lines(pen, segments, colour, width) {
    pen.strokeStyle = colour;
    pen.lineWidth = width;
    pen.beginPath();
    for (const [from, to] of segments) {
      const cut = this.#ahead(from, to);
      if (!cut) continue;
      const [[x0, y0], [x1, y1]] = cut.map((place) => this.#screen(place));
      pen.moveTo(x0, y0);
      pen.lineTo(x1, y1);
    }
    pen.stroke();
  }

  #ahead(from, to) {
    const near = this.stage.navigation.camera.near * 2;
    const [a, b] = [from, to].map((place) => -this.#inCamera(place).z - near);
    if (a < 0 && b < 0) return null;
    const at = a / (a - b);
    const middle = () => from.map((value, i) => value + at * (to[i] - value));
    return [a < 0 ? middle() : from, b < 0 ? middle() : to];
  }

  #inCamera(place) {
    return this.point.fromArray(place).applyMatrix4(this.stage.navigation.camera.matrixWorldInverse);
  }

  // Where a point of the scene is in the window, and whether it is ahead.
  #screen(place) {
    const { camera } = this.stage.navigation;
    const ahead = this.#inCamera(place).z < -camera.near;
    const { x, y } = this.point.applyMatrix4(camera.projectionMatrix);
    const { clientWidth, clientHeight } = this.stage.element;
    return [((x + 1) / 2) * clientWidth, ((1 - y) / 2) * clientHeight, ahead];
  }

  // The number of the camera at a place in the window; -1 for none.
  #at(event) {
    if (!this.shown) return -1;
    const { left, top } = this.stage.element.getBoundingClientRect();
    let [best, least] = [-1, NEAR];
    this.frusta.forEach((frustum, i) => {
      if (!this.#isClear(frustum)) return;
      const { apex, corners } = frustum;
      const middle = apex.map((_, axis) => corners.reduce((sum, corner) => sum + corner[axis], 0) / 4);
      for (const place of [apex, middle]) {
        const [x, y, ahead] = this.#screen(place);
        const distance = Math.hypot(event.clientX - left - x, event.clientY - top - y);
        if (ahead && distance < least) [best, least] = [i, distance];
      }
    });
    return best;
  }

  #click(event) {
    const [x, y] = this.pressed ?? [0, 0];
    if (Math.hypot(event.clientX - x, event.clientY - y) > 4) return; // that was a drag
    if (event.shiftKey) return this.picked(event);
    const number = this.#at(event);
    if (number >= 0) this.chosen(number);
  }

  #hover(event) {
    const number = event.buttons ? -1 : this.#at(event);
    if (number !== this.hovered) {
      this.hovered = number;
      this.draw();
    }
    this.tip.hidden = number < 0;
    if (number < 0) return;
    const { left, top } = this.stage.element.getBoundingClientRect();
    this.tip.textContent = this.frusta[number].name;
    this.tip.style.left = `${event.clientX - left}px`;
    this.tip.style.top = `${event.clientY - top}px`;
  }
}
