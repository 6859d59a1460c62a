// The controls of the panel: what is drawn, how one moves, and which part of the scene is shown.

const HELP = {
  orbit: "Drag to turn, right button or two fingers to move, wheel or pinch for distance; a double click turns around a point.",
  fly: "Drag to look; W A S D and R F move, Q E roll.",
};
const KEYS = "Keys: V fly, 0 start, P screenshot, Enter full screen.";

export function settings(stage, overlay) {
  const control = (name) => document.querySelector(`#panel [data-set="${name}"]`);
  const told = (name, text) => (document.querySelector(`output[data-of="${name}"]`).textContent = text);
  const on = (name, event, change) => control(name).addEventListener(event, () => change(control(name)));
  const { about, navigation } = stage;

  for (let degree = 0; degree <= about.degree; degree++) control("degree").append(new Option(degree, degree));
  control("degree").value = about.degree;
  control("background").value = stage.settings.background;
  control("drawnBy").value = stage.settings.drawnBy;
  control("drawnBy").disabled = !stage.drawing;
  control("output").querySelector('[value="labels"]').hidden = !about.labels;

  on("output", "change", ({ value }) => stage.change({ output: value }));
  on("drawnBy", "change", ({ value }) => stage.change({ drawnBy: value }));
  on("degree", "change", ({ value }) => stage.change({ degree: Number(value) }));
  on("background", "input", ({ value }) => stage.change({ background: value }));
  on("size", "input", ({ value }) => {
    const size = Number((10 ** value).toPrecision(3));
    told("size", size);
    stage.change({ size });
  });

  const motion = (flying) => {
    navigation.fly(flying);
    control("motion").value = flying ? "fly" : "orbit";
    document.getElementById("help").textContent = `${HELP[control("motion").value]} ${KEYS}`;
  };
  on("motion", "change", ({ value }) => motion(value === "fly"));
  on("fov", "input", ({ value }) => navigation.look({ ...navigation.view, fov: Number(value) }));
  const lens = () => {
    control("fov").value = Math.round(navigation.camera.fov);
    told("fov", `${Math.round(navigation.camera.fov)}°`);
  };
  stage.each.push(lens);
  lens();
  motion(false);

  const actions = {
    start: () => navigation.reset(),
    screenshot: async () => download(await stage.screenshot(), `${about.name}.${stage.drawn ? "png" : "jpg"}`),
    full: () => (document.fullscreenElement ? document.exitFullscreen() : document.body.requestFullscreen()),
  };
  for (const [name, act] of Object.entries(actions))
    document.querySelector(`#panel [data-do="${name}"]`).addEventListener("click", act);
  const keys = { v: () => motion(!navigation.flying), 0: actions.start, p: actions.screenshot, enter: actions.full };
  addEventListener("keydown", (event) => {
    const typing = event.target.matches?.("input, select, button, summary");
    if (!typing && !event.ctrlKey && !event.metaKey && !event.altKey) keys[event.key.toLowerCase()]?.();
  });

  crop(stage, overlay, control);
}

// Six sliders for a box around the middle of what the cameras see.
function crop(stage, overlay, control) {
  const { target } = stage.about.start;
  const reach = 4 * stage.about.radius;
  const sliders = [];
  for (const [axis, name] of [...["x", "y", "z"].entries()]) {
    for (const side of [0, 1]) {
      const label = document.createElement("label");
      const slider = Object.assign(document.createElement("input"), {
        type: "range", min: target[axis] - reach, max: target[axis] + reach, step: reach / 500,
      });
      label.append(`${name} ${side ? "to" : "from"} `, slider);
      document.getElementById("crop").append(label);
      sliders.push({ slider, axis, side });
    }
  }
  const changed = () => {
    const corners = [[0, 0, 0], [0, 0, 0]];
    for (const { slider, axis, side } of sliders) corners[side][axis] = Number(slider.value);
    const box = control("cropping").checked ? corners : null;
    overlay.box = box;
    stage.change({ crop: box });
  };
  const around = () => {
    for (const { slider, axis, side } of sliders)
      slider.value = target[axis] + (side ? 1 : -1) * stage.about.radius * 0.6;
    changed();
  };
  for (const { slider } of sliders) slider.addEventListener("input", changed);
  control("cropping").addEventListener("change", changed);
  document.querySelector('#panel [data-do="around"]').addEventListener("click", around);
  around();
}

export function download(blob, name) {
  const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}
