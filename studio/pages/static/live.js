// Follows a job by server-sent events: words and bars as they are drawn, stages, first sound; then shows the whole page.
// A page that was reloaded or reopened starts again from the first event, which the server keeps.
const live = document.getElementById("live");

function show(element, text) {
  element.hidden = false;
  if (text !== undefined) element.textContent = text;
}

function follow(job, take) {
  const status = document.getElementById("status"), text = document.getElementById("text");
  const stages = document.getElementById("stages"), early = document.getElementById("early-sound");
  const progress = document.getElementById("progress");
  const source = new EventSource(`/api/v1/jobs/${job}/events`);
  const left = document.getElementById("left"), opened = performance.now();
  let ended = false, counted = false;

  // How long it will take, as the server reckons from what its kind has cost.
  async function look() {
    if (ended) return;
    const answer = await fetch(`/api/v1/jobs/${job}`), now = answer.ok ? await answer.json() : {};
    if (now.state === "queued") status.textContent = `Waiting, number ${now.position} in the queue.`;
    if (!now.seconds_left) return;
    left.textContent = `About ${Math.max(1, Math.round(now.seconds_left))} s left.`;
    if (counted || now.state !== "running") return;
    const spent = (performance.now() - opened) / 1000;
    progress.max = spent + now.seconds_left;
    progress.value = spent;
  }
  setInterval(look, 2000);

  function stage(event) {
    show(stages);
    let item = stages.querySelector(`[data-stage="${event.stage}"]`);
    if (!item) {
      item = document.createElement("li");
      item.dataset.stage = event.stage;
      item.textContent = event.stage;
      stages.append(item);
    }
    item.dataset.state = event.state;
    status.textContent = event.state === "started" ? `Now: ${event.stage}.` : `${event.stage}: ${event.state}.`;
    if (event.text) show(text, event.text);
    if ((event.files || []).includes("backing.wav")) {
      early.src = `/api/v1/takes/${take}/files/backing.wav`;
      show(document.getElementById("early"));
    }
  }

  async function finish() {
    if (ended) return;
    ended = true;
    source.close();
    if (early && !early.paused) {
      status.textContent = "Done. ";
      const link = document.createElement("a");
      link.href = location.href;
      link.textContent = "Show it (the first sound goes on until then).";
      status.append(link);
      progress.hidden = true;
      return;
    }
    location.reload();
  }

  const on = (kind, action) => source.addEventListener(kind, (event) => action(JSON.parse(event.data)));
  on("stage", stage);
  on("text", (event) => show(text, event.text));
  on("bars", (event) => show(text, event.ways.map((way, i) =>
    `${i + 1}   ` + Object.entries(way).map(([bar, notes]) => `${bar}: ${notes}`).join("   ")).join("\n")));
  on("progress", (event) => { counted = true; progress.max = event.of; progress.value = event.done; });
  on("end", finish);
  on("job", finish);
}

if (live) follow(live.dataset.job, live.dataset.take);
