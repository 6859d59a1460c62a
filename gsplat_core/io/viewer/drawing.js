// Splats in a canvas, drawn by three.js and Spark: only when something has changed, so that a page that nobody moves
// costs nothing.

const SETTLING = 500; // milliseconds in which sorting, in a thread of its own, catches up with the camera

export class Drawing {
  // `look` is how the scene was trained: eps2d, the variance of the screen filter in square pixels, and whether it
  // keeps the energy of what it blurs (antialiased). Throws where there is no WebGL 2.
  constructor(lib, holder, look) {
    this.lib = lib;
    this.renderer = new lib.WebGLRenderer({ antialias: false, powerPreference: "high-performance" });
    holder.prepend(this.renderer.domElement);
    this.canvas = this.renderer.domElement;
    this.scene = new lib.Scene();
    this.spark = new lib.SparkRenderer({
      renderer: this.renderer,
      preBlurAmount: look.antialiased ? 0 : look.eps2d,
      blurAmount: look.antialiased ? look.eps2d : 0,
      maxStdDev: 3.33, // where an opaque Gaussian falls below 1/255, as in the rasterizer
      sortRadial: false,
      onDirty: () => this.touch(),
    });
    this.scene.add(this.spark);
    this.changing = new Changes(lib);
    this.degree = 3;
    this.until = 0;
  }

  // Shows another scene, the content of a file, in place of the one before.
  async show(bytes, name) {
    const { SplatMesh } = this.lib;
    const splats = new SplatMesh({
      fileBytes: bytes,
      fileName: name,
      extSplats: true, // positions as they are, and not in 16 bits
      objectModifier: this.changing.modifier,
    });
    await splats.initialized;
    splats.maxSh = this.degree;
    splats.updateGenerator();
    this.scene.add(splats);
    if (this.splats) {
      this.scene.remove(this.splats);
      this.splats.dispose();
    }
    this.splats = splats;
    this.touch();
  }

  // Of the spherical harmonics that are drawn.
  set harmonics(degree) {
    this.degree = degree;
    if (!this.splats) return;
    this.splats.maxSh = degree;
    this.splats.updateGenerator();
    this.touch();
  }

  // By which factor splats are larger.
  set size(factor) {
    this.changing.size.value = factor;
    this.#changed();
  }

  // What is shown: the splats whose centres are between two corners [x, y, z]; null for all.
  set crop(corners) {
    const [low, high] = corners ?? [[-1e30, -1e30, -1e30], [1e30, 1e30, 1e30]];
    this.changing.low.value.fromArray(low);
    this.changing.high.value.fromArray(high);
    this.#changed();
  }

  set background(colour) {
    this.renderer.setClearColor(colour);
    this.touch();
  }

  resize(width, height) {
    this.renderer.setPixelRatio(Math.min(devicePixelRatio, 2));
    this.renderer.setSize(width, height);
    this.touch();
  }

  // Something is to be seen that was not there.
  touch() {
    this.until = performance.now() + SETTLING;
  }

  // To be called with every frame; whether it drew.
  update(camera) {
    if (performance.now() > this.until) return false;
    this.renderer.render(this.scene, camera);
    return true;
  }

  // The splat under a place in the window, -1 to 1 each; null where there is none.
  pointAt(place, camera) {
    if (!this.splats) return null;
    const ray = new this.lib.Raycaster();
    ray.setFromCamera(place, camera);
    return ray.intersectObject(this.splats)[0]?.point ?? null;
  }

  // A picture of what is shown, as PNG.
  screenshot(camera) {
    this.renderer.render(this.scene, camera);
    return new Promise((done) => this.canvas.toBlob(done, "image/png"));
  }

  #changed() {
    this.splats?.updateVersion();
    this.touch();
  }
}

// What becomes of each splat before it is drawn: its size, and whether it is in the box.
class Changes {
  constructor(lib) {
    const { dyno, Vector3 } = lib;
    this.size = dyno.dynoFloat(1);
    this.low = dyno.dynoVec3(new Vector3(-1e30, -1e30, -1e30));
    this.high = dyno.dynoVec3(new Vector3(1e30, 1e30, 1e30));
    const change = new dyno.Dyno({
      inTypes: { gsplat: dyno.Gsplat, size: "float", low: "vec3", high: "vec3" },
      outTypes: { gsplat: dyno.Gsplat },
      globals: () => [dyno.defineGsplat],
      statements: ({ inputs, outputs }) => [
        `${outputs.gsplat} = ${inputs.gsplat};`,
        `${outputs.gsplat}.scales *= ${inputs.size};`,
        `if (any(lessThan(${inputs.gsplat}.center, ${inputs.low}))`,
        `    || any(greaterThan(${inputs.gsplat}.center, ${inputs.high}))) {`,
        `  ${outputs.gsplat}.rgba.a = 0.0;`,
        `}`,
      ],
    });
    this.modifier = dyno.dynoBlock({ gsplat: dyno.Gsplat }, { gsplat: dyno.Gsplat }, ({ gsplat }) => ({
      gsplat: change.apply({ gsplat, size: this.size, low: this.low, high: this.high }).gsplat,
    }));
  }
}
