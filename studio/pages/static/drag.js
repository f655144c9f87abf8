// A MIDI link that is dragged out of the page becomes a file where the browser can do that (Chromium).
export function makeDraggable() {
  for (const link of document.querySelectorAll("a.draggable")) {
    link.addEventListener("dragstart", (event) => {
      event.dataTransfer.setData("DownloadURL", `audio/midi:${link.dataset.name}:${link.href}`);
      event.dataTransfer.setData("text/uri-list", link.href);
    });
  }
}
