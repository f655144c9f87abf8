// Sheet music by abcjs: options that suit the width, and the bars of what was drawn.
const NARROW = 600;

export function engrave(element, text, more = {}) {
  const width = Math.max(240, element.parentElement.clientWidth - 30);
  const narrow = width < NARROW;
  element.hidden = false;
  element.style.display = "block";
  const drawn = window.ABCJS.renderAbc(element, text, {
    add_classes: true, responsive: "resize", scale: narrow ? 0.8 : 1, staffwidth: width / (narrow ? 0.8 : 1) - 20,
    paddingtop: 6, paddingbottom: 6, paddingleft: 8, paddingright: 8,
    wrap: { minSpacing: 1.4, maxSpacing: 2.6, preferredMeasuresPerLine: narrow ? 2 : 4 }, ...more,
  });
  element.querySelector("svg")?.setAttribute("aria-hidden", "true");
  if (!element.querySelector(".abcjs-note, .abcjs-rest")) element.style.display = "none";
  return drawn[0];
}

export function elementsOfBar(sheet, place) {
  return sheet.querySelectorAll(`.abcjs-mm${place}.abcjs-note, .abcjs-mm${place}.abcjs-rest`);
}

// The bar at a point of the window: that of the nearest note of the nearest line; null away from the music.
export function placeAt(sheet, x, y) {
  let best = null, least = Infinity;
  for (const node of sheet.querySelectorAll(".abcjs-note, .abcjs-rest")) {
    const found = [...node.classList].find((name) => /^abcjs-mm\d+$/.test(name)), box = node.getBoundingClientRect();
    const beside = Math.max(box.left - x, x - box.right, 0), below = Math.max(box.top - y, y - box.bottom, 0);
    const distance = beside + 10 * below; // a line is far, the end of a bar is near
    if (found && below < 60 && distance < least) { least = distance; best = Number(found.slice(8)); }
  }
  return best;
}
