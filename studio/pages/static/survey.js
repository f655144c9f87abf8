// A survey in the browser: one page at a time, each answer saved as it is given and sent again until it is.
// Sound is played by one <audio>; what was heard of a clip is the sum of its played ranges.

const main = document.getElementById("survey");
const { survey, rater: known } = main.dataset;
const api = `${main.dataset.api}/api/v1/surveys/${survey}`;
const texts = JSON.parse(main.dataset.texts);
const pending = new Map();
let rater = known || new URLSearchParams(location.hash.slice(1)).get("rater") || "";
let sending = false;

const say = (key, values = {}) => (texts[key] ?? key).replace(/{(\w+)}/g, (all, name) => values[name] ?? all);

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

async function call(method, path, body) {
  const options = { method, credentials: "same-origin" };
  if (body !== undefined) {
    options.headers = { "Content-Type": "application/json" };
    options.body = JSON.stringify(body);
  }
  const answer = await fetch(api + path, options);
  const data = answer.status === 204 ? {} : await answer.json();
  if (!answer.ok) throw Object.assign(new Error(data.detail || answer.statusText), { status: answer.status });
  return data;
}

// --- answers -------------------------------------------------------------------------------------------------------

function keep(answer) {
  pending.set([answer.trial, answer.place, answer.criterion].join("/"), answer);
  send();
}

async function send() {
  if (sending) return;
  sending = true;
  while (pending.size) {
    const [key, answer] = pending.entries().next().value;
    try {
      await call("PUT", `/raters/${rater}/answers`, answer);
      if (pending.get(key) === answer) pending.delete(key);
      status(say("saved"));
    } catch (error) {
      if (error.status >= 400 && error.status < 500 && error.status !== 429) {
        pending.delete(key);
        status(error.message);
      } else {
        status(say("not_saved"));
        await new Promise((done) => setTimeout(done, 1500));
      }
    }
  }
  sending = false;
  document.dispatchEvent(new Event("settled"));
}

function status(text) {
  const place = document.querySelector(".status");
  if (place) place.textContent = text;
}

addEventListener("beforeunload", (event) => {
  if (pending.size) event.preventDefault();
});

// --- sound ---------------------------------------------------------------------------------------------------------

const audio = new Audio();
audio.preload = "auto";
if (main.dataset.api) audio.crossOrigin = "anonymous";
let playing = null;

function player(name, label, onHeard) {
  const bar = element("progress", { max: 1, value: 0, "aria-label": label });
  const button = element("button", { type: "button", "aria-label": `${say("play")}: ${label}` }, say("play"));
  const clip = { name, label, button, bar, heard: 0, ranges: [], onHeard };
  button.addEventListener("click", () => toggle(clip));
  return { clip, node: element("div", { class: "clip" }, element("span", {}, label), button, bar) };
}

function toggle(clip) {
  if (playing === clip && !audio.paused) return audio.pause();
  if (playing !== clip) {
    if (playing) stop(playing);
    playing = clip;
    audio.src = `${api}/raters/${rater}/clips/${clip.name}`;
  }
  if (audio.ended) audio.currentTime = 0;
  audio.play().catch((error) => status(error.message));
}

function stop(clip) {
  audio.pause();
  count(clip);
  clip.before = clip.heard;
  show(clip, false);
}

function count(clip) {
  if (!audio.duration) return;
  let seconds = 0;
  for (let i = 0; i < audio.played.length; i++) seconds += audio.played.end(i) - audio.played.start(i);
  clip.heard = Math.min(1, Math.max(clip.heard, seconds / audio.duration));
  clip.bar.value = audio.currentTime / audio.duration;
  clip.onHeard(clip.heard);
}

function show(clip, isPlaying) {
  const word = say(isPlaying ? "pause" : "play");
  clip.button.textContent = word;
  clip.button.setAttribute("aria-label", `${word}: ${clip.label}`);
}

audio.addEventListener("timeupdate", () => playing && count(playing));
audio.addEventListener("play", () => playing && show(playing, true));
for (const kind of ["pause", "ended"]) audio.addEventListener(kind, () => playing && (count(playing), show(playing, false)));

// --- pages ---------------------------------------------------------------------------------------------------------

function turn(...nodes) {
  const page = document.getElementById("page");
  if (playing) stop(playing);
  playing = null;
  audio.removeAttribute("src");
  page.replaceChildren(...nodes, element("p", { class: "status", role: "status" }));
  const heading = page.querySelector("h2") ?? main; // a screen reader goes on reading from here
  heading.tabIndex = -1;
  heading.focus();
  scrollTo(0, 0);
}

async function next() {
  try {
    const state = await call("GET", `/raters/${rater}`);
    if (state.withdrawn) turn(element("p", {}, say("withdrawn")));
    else if (!state.has_sound) soundPage(state);
    else if (!state.trial) endPage();
    else trialPage(state);
  } catch (error) {
    turn(element("p", { class: "warning" }, error.message), element("button", { type: "button", onclick: next }, say("continue")));
  }
}

function soundPage(state) {
  const { node } = player(state.sound_check, say("clip"), () => {});
  const choice = (value, key) =>
    element("label", {}, element("input", { type: "radio", name: "headphones", value, required: true }), say(key));
  const form = element(
    "form",
    {
      onsubmit: async (event) => {
        event.preventDefault();
        await call("PUT", `/raters/${rater}/sound`, { headphones: new FormData(form).get("headphones") === "yes" });
        next();
      },
    },
    element("h2", {}, say("sound_title")),
    element("p", {}, say("sound_text")),
    node,
    element("fieldset", {}, element("legend", {}, say("headphones")),
      element("div", { class: "choices" }, choice("yes", "headphones_yes"), choice("no", "headphones_no"))),
    element("button", { type: "submit" }, say("continue")),
  );
  turn(form);
}

function trialPage(state) {
  const { trial } = state;
  const abx = trial.criteria[0].name === "abx";
  const mushra = trial.criteria[0].name === "mushra";
  const label = (i) => {
    if (abx) return "ABX"[i];
    if (mushra) return i ? String.fromCharCode(64 + i) : say("reference");
    return trial.clips.length > 1 ? `${say("clip")} ${i + 1}` : say("clip");
  };
  const button = element("button", { type: "button", disabled: true, onclick: next }, say("next"));
  const fields = [];
  const players = trial.clips.map((clip, i) => player(clip.name, label(i), heard));
  const least = () => Math.min(...players.map(({ clip }) => clip.heard));

  function heard() {
    const open = least() >= state.min_heard;
    if (open && fields[0]?.disabled) status(say("heard_enough"));
    for (const field of fields) field.disabled = !open;
    hint.hidden = open;
  }

  const given = new Map(trial.answers.map((one) => [`${one.place}/${one.criterion}`, one.value]));
  const wanted = [];
  trial.clips.forEach((clip, place) => {
    if (!clip.rated) return;
    for (const criterion of trial.criteria) {
      wanted.push(`${place}/${criterion.name}`);
      const answer = (value) => {
        given.set(`${place}/${criterion.name}`, value);
        keep({ trial: trial.number, place, criterion: criterion.name, value, heard: least() });
        ready();
      };
      fields.push(question(criterion, given.get(`${place}/${criterion.name}`), mushra ? label(place) : "", place, answer, !fields.length));
    }
  });

  function ready() {
    button.disabled = pending.size > 0 || wanted.some((key) => !given.has(key));
  }

  document.addEventListener("settled", ready);
  const hint = element("p", { class: "hint" }, say("listen_first", { share: Math.round(100 * state.min_heard) }));
  const nodes = [element("h2", {}, say("progress", { i: trial.number + 1, n: state.n_trials }))];
  if (trial.practice) nodes.push(element("p", { class: "hint" }, say("practice")));
  if (trial.attention !== null) nodes.push(element("p", { class: "warning" }, attentionText(trial)));
  if (trial.text) nodes.push(element("p", { class: "words" }, trial.text));
  turn(...nodes, ...players.map(({ node }) => node), hint, ...fields, button, linkLine());
  heard();
  ready();
}

function attentionText(trial) {
  const { name } = trial.criteria[0];
  const key = `${name}_${trial.attention}`;
  return say("attention", { value: texts[key] ?? String(trial.attention) });
}

function question(criterion, value, clip, place, answer, hasHint) {
  const { name, low, high } = criterion;
  const legend = element("legend", {}, clip ? `${clip}: ${say(name)}` : say(name));
  const scale = texts[`${name}_scale`] ?? (low === 1 && high === 5 && hasHint ? say("scale_5") : "");
  if (high - low > 10) {
    const slider = element("input", {
      type: "range", min: low, max: high, step: 1, value: value ?? (low + high) / 2, "aria-label": legend.textContent,
      onchange: (event) => answer(Number(event.target.value)),
    });
    return element("fieldset", {}, legend, element("p", { class: "hint" }, scale), slider);
  }
  const levels = [];
  for (let level = low; level <= high; level++) levels.push(level);
  if (name === "preference") levels.reverse();
  const choices = levels.map((level) =>
    element("label", {},
      element("input", {
        type: "radio", name: `${place}/${name}`, value: level, checked: value === level, onchange: () => answer(level),
      }),
      texts[`${name}_${level}`] ?? String(level)));
  const parts = [legend];
  if (scale) parts.push(element("p", { class: "hint choices" }, scale));
  return element("fieldset", {}, ...parts, element("div", { class: "choices" }, ...choices));
}

function ownLink() {
  return main.dataset.api ? location.href : new URL(`/surveys/${survey}/${rater}`, location.href).href;
}

function linkLine() {
  return element("p", { class: "hint" }, say("your_link"), " ", element("a", { href: ownLink() }, ownLink()));
}

function endPage() {
  const remove = element("button", {
    type: "button", class: "plain",
    onclick: async () => {
      if (confirm(say("withdraw_sure"))) {
        await call("DELETE", `/raters/${rater}`);
        next();
      }
    },
  }, say("withdraw"));
  turn(element("h2", {}, say("thanks")), linkLine(), remove);
}

function begin() {
  main.querySelector("#consent")?.remove();
  for (const text of main.querySelectorAll("p, nav")) text.remove();
  if (!document.getElementById("page")) main.append(element("div", { id: "page" }));
  next();
}

document.getElementById("consent")?.addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    const made = await call("POST", "/raters", { consent: true, language: document.documentElement.lang });
    rater = made.rater;
    if (main.dataset.api) location.hash = `rater=${rater}`;
    else history.replaceState(null, "", `/surveys/${survey}/${rater}`);
    begin();
  } catch (error) {
    event.target.append(element("p", { class: "warning" }, error.message));
  }
});

if (rater) begin();
