// Files brought in: music dropped or chosen, and take.json files that are made again.
const own = document.getElementById("own"), status = document.getElementById("own-status");

async function bring(file) {
  status.textContent = "Reading it …";
  const types = { abc: "text/vnd.abc", mid: "audio/midi", midi: "audio/midi" };
  const type = types[file.name.split(".").pop().toLowerCase()] || "application/vnd.recordare.musicxml";
  const answer = await fetch(own.dataset.send || "/tunes/file", { method: "POST", headers: { "Content-Type": type }, body: file });
  const text = await answer.text();
  if (answer.ok) location.assign(text);
  else status.textContent = new DOMParser().parseFromString(text, "text/html").querySelector(".fault")?.textContent || "It was refused.";
}

if (own) {
  document.querySelector("label.file").hidden = false;
  document.getElementById("file").addEventListener("change", (event) => { if (event.target.files[0]) bring(event.target.files[0]); });
  own.addEventListener("dragover", (event) => { event.preventDefault(); own.classList.add("over"); });
  own.addEventListener("dragleave", () => own.classList.remove("over"));
  own.addEventListener("drop", (event) => {
    event.preventDefault();
    own.classList.remove("over");
    if (event.dataTransfer.files[0]) bring(event.dataTransfer.files[0]);
  });
}

const record = document.getElementById("record");
if (record) {
  document.getElementById("open").hidden = false;
  record.addEventListener("change", async () => {
    const told = document.getElementById("open-status");
    const answer = await fetch("/api/v1/takes/again", {
      method: "POST", headers: { "Content-Type": "application/json" }, body: await record.files[0].text(),
    });
    const body = await answer.json();
    if (answer.ok) location.assign(`/takes/${body.take}`);
    else told.textContent = body.detail;
  });
}
