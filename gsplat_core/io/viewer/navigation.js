// A camera, and how one moves it: turning around a point, or flying. Needs no WebGL, so that a browser without it
// can move, too, and look at pictures that others have drawn.

// In orbit: drag, wheel, pinch (OrbitControls of three.js). In flight: drag to look, W A S D to move, R F up and
// down, Q E to roll (FlyControls).
export class Navigation {
  // `start` is where one looks from at first: position, target and up [x, y, z], fov in degrees of the height, near
  // and far. `element` takes the mouse; `moved` is called whenever the camera is another one.
  constructor(lib, element, start, moved) {
    this.lib = lib;
    this.element = element;
    this.start = start;
    this.moved = moved;
    this.camera = new lib.PerspectiveCamera(start.fov, 1, start.near, start.far);
    this.target = new lib.Vector3();
    this.flying = false;
    this.reset();
  }

  reset() {
    this.look(this.start);
  }

  // Looks from another place; what is not given stays.
  look({ position, target, up, fov }) {
    if (up) this.camera.up.fromArray(up).normalize();
    if (position) this.camera.position.fromArray(position);
    if (target) this.target.fromArray(target);
    if (fov) this.camera.fov = fov;
    this.camera.lookAt(this.target);
    this.camera.updateProjectionMatrix();
    this.#control();
    this.moved();
  }

  // Where one looks from now, as `look` takes it.
  get view() {
    if (this.flying) this.#aim();
    return {
      position: this.camera.position.toArray(),
      target: this.target.toArray(),
      up: this.camera.up.toArray(),
      fov: this.camera.fov,
    };
  }

  fly(flying) {
    if (!flying && this.flying) this.#aim();
    this.flying = flying;
    this.#control();
    this.moved();
  }

  focus(point) {
    this.target.copy(point);
    this.camera.lookAt(this.target);
    this.#control();
    this.moved();
  }

  resize(width, height) {
    this.camera.aspect = width / height;
    this.camera.updateProjectionMatrix();
    this.moved();
  }

  // To be called with every frame.
  update(seconds) {
    this.controls.update(seconds);
  }

  // The point of a place in the window, -1 to 1 each, at the distance of the target.
  pointAt(place) {
    const ray = new this.lib.Raycaster();
    ray.setFromCamera(place, this.camera);
    const distance = this.camera.position.distanceTo(this.target);
    return ray.ray.at(distance, new this.lib.Vector3());
  }

  // In flight the target is what lies ahead, as far away as before, and up may have rolled.
  #aim() {
    const distance = this.camera.position.distanceTo(this.target);
    this.camera.getWorldDirection(this.target).multiplyScalar(distance).add(this.camera.position);
    this.camera.up.set(0, 1, 0).applyQuaternion(this.camera.quaternion);
  }

  // Controls know the up that the camera has when they are made, so there are new ones for each.
  #control() {
    this.controls?.dispose();
    if (this.flying) {
      this.controls = new this.lib.FlyControls(this.camera, this.element);
      this.controls.movementSpeed = this.camera.position.distanceTo(this.target) / 2;
      this.controls.rollSpeed = 0.6;
      this.controls.dragToLook = true;
    } else {
      this.controls = new this.lib.OrbitControls(this.camera, this.element);
      this.controls.enableDamping = true;
      this.controls.zoomToCursor = true;
      this.controls.target = this.target;
    }
    this.controls.addEventListener("change", this.moved);
  }
}
