"use strict";
const all = (selector) => [...document.querySelectorAll(selector)];
const byId = (name) => document.getElementById(name);

// The legend: a box for each run hides its lines.
for (const box of all("[data-toggle]")) {
  box.addEventListener("change", () => {
    for (const line of all(`svg [data-run="${box.dataset.toggle}"]`)) line.classList.toggle("hidden", !box.checked);
  });
}

// Tables: a click on a title sorts by its column; rows of floors stay last.
for (const button of all("th button")) {
  button.addEventListener("click", () => {
    const title = button.closest("th");
    const body = title.closest("table").tBodies[0];
    const column = title.cellIndex;
    const order = title.getAttribute("aria-sort") === "descending" ? "ascending" : "descending";
    for (const other of title.parentElement.cells) other.removeAttribute("aria-sort");
    title.setAttribute("aria-sort", order);
    const sign = order === "ascending" ? 1 : -1;
    const rank = (row) => {
      const cell = row.cells[column];
      if (column === 0) return cell.textContent.trim();
      return cell.dataset.value === undefined ? -Infinity * sign : Number(cell.dataset.value);
    };
    const compare = (a, b) => {
      const floors = a.classList.contains("floor") - b.classList.contains("floor");
      const [left, right] = [rank(a), rank(b)];
      return floors || (left === right ? 0 : left > right ? sign : -sign);
    };
    body.append(...[...body.rows].sort(compare));
  });
}

// Two runs: the pictures are those of the test sheets further down, so each is in the page once.
const compare = byId("compare");
if (compare) {
  const [left, right, frame, view] = ["left", "right", "frame", "view"].map(byId);
  const [pair, cut, said] = ["pair", "cut", "said"].map(byId);
  const [first, second] = pair.querySelectorAll("img");
  const pictures = {};
  for (const image of all("img[data-frame]")) {
    const frames = (pictures[image.dataset.of] ??= {});
    (frames[image.dataset.frame] ??= {})[image.dataset.view] = image;
  }
  const shared = (one, other) => Object.keys(one ?? {}).filter((name) => name in (other ?? {}));
  const fill = (select, names, preferred) => {
    const kept = names.includes(select.value) ? select.value : names.includes(preferred) ? preferred : names[0];
    select.replaceChildren(...names.map((name) => new Option(name, name, false, name === kept)));
  };
  const show = () => {
    const [one, other] = [pictures[left.value], pictures[right.value]];
    fill(frame, shared(one, other));
    const found = Boolean(frame.value);
    if (found) fill(view, shared(one[frame.value], other[frame.value]), "overlay");
    for (const part of [pair, frame.parentElement, view.parentElement]) part.hidden = !found;
    const sides = compare.querySelector("[name=how]:checked").value === "sides";
    cut.parentElement.hidden = !found || sides;
    byId("names").hidden = !found;
    byId("names").classList.toggle("wide", sides);
    pair.className = sides ? "pair sides" : "pair slider";
    said.textContent = found ? "" : "These two runs have no drawn frame in common: choose two of the same data set.";
    if (!found) return;
    const names = [left, right].map((select) => select.selectedOptions[0].textContent);
    [first, second].forEach((image, place) => {
      const source = [one, other][place][frame.value][view.value];
      image.src = source.src;
      image.alt = `${names[place]}: ${frame.value}, ${view.value}`;
      image.width = source.width;
      image.height = source.height;
      byId("names").children[place].textContent = names[place];
    });
  };
  const move = () => pair.style.setProperty("--cut", `${cut.value}%`);
  for (const part of [left, right, frame, view, ...compare.querySelectorAll("[name=how]")]) part.addEventListener("change", show);
  cut.addEventListener("input", move);
  const drag = (event) => {
    if (event.buttons !== 1 || !pair.classList.contains("slider")) return;
    const frameBox = pair.getBoundingClientRect();
    cut.value = (100 * (event.clientX - frameBox.left)) / frameBox.width;
    move();
  };
  pair.addEventListener("pointerdown", drag);
  pair.addEventListener("pointermove", drag);
  // Begin with two runs that can be compared.
  const names = [...left.options].map((option) => option.value);
  const pairs = names.flatMap((one, place) => names.slice(place + 1).map((other) => [one, other]));
  const good = pairs.find(([one, other]) => shared(pictures[one], pictures[other]).length);
  if (good) [left.value, right.value] = good;
  else if (names.length > 1) right.value = names[1];
  show();
  move();
}
