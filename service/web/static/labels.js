// Places for the labels of a chart, so that none touches another or is crossed by a line. Lengths are pixels.

const BESIDE = 5; // between a vertical line and its label
const GAP = 8; // between two labels of a row
const CLEAR = 3; // between a label and the line of another one

/**
 * Rows and left edges for the labels of vertical lines at `x`, each `width` long, between `left` and `right`. Row 0 is
 * next to the curves. A line goes up to its label, if possible through no other one.
 */
export function placeMarks(marks, left, right) {
  let best = null;
  for (const placed of choices(marks, left, right)) {
    if (overlaps(placed)) continue;
    const crossed = placed.filter((own) => placed.some((other) => other.row < own.row && isCrossed(other, own.x))).length;
    const cost = 100 * crossed + 10 * Math.max(...placed.map(({ row }) => row)) + placed.reduce((sum, { row }) => sum + row, 0);
    if (!best || cost < best.cost) best = { cost, placed };
  }
  return best?.placed ?? [];
}

/** Every choice of a row, and of a side of its line, for each label. */
function choices(marks, left, right) {
  const within = (start, width) => Math.max(left, Math.min(start, right - width));
  const of = ({ x, width }) => marks.flatMap((_, row) => [x + BESIDE, x - BESIDE - width].map((start) => ({ x, width, row, start: within(start, width) })));
  return marks.map(of).reduce((all, each) => all.flatMap((some) => each.map((one) => [...some, one])), [[]]);
}

const overlaps = (placed) => placed.some((one, at) => placed.slice(0, at).some((other) => (
  one.row === other.row && one.start < other.start + other.width + GAP && other.start < one.start + one.width + GAP)));

const isCrossed = ({ start, width }, x) => x > start - CLEAR && x < start + width + CLEAR;

/**
 * The left edge and the top of a box beside the height `y`, the rightmost one that touches no obstacle: {left, right,
 * top, bottom} each. Null if there is none in the frame.
 */
export function placeBeside(y, width, height, frame, obstacles) {
  const isFree = (left, top) => obstacles.every((one) => (
    left > one.right + CLEAR || left + width < one.left - CLEAR || top > one.bottom || top + height < one.top));
  for (let left = frame.right - width - BESIDE; left >= frame.left; left -= CLEAR) {
    for (const top of [y - height - 1, y + 1]) {
      if (top >= frame.top && top + height <= frame.bottom && isFree(left, top)) return { left, top };
    }
  }
  return null;
}

/**
 * Boxes {left, top} for the numbers of points {x, y, width, isAbove}, `height` high each: above the point or below it,
 * in the order of the points among those that stand over each other, and over no circle if there is room. `isAbove` is where a number
 * without neighbours stands, if there is room.
 */
export function placeNumbers(points, height, radius, frame) {
  const circles = points.map(({ x, y }) => ({ left: x - radius, right: x + radius, top: y - radius, bottom: y + radius }));
  const sized = points.map(({ x, width, ...rest }, at) => (
    { ...rest, at, width, left: Math.max(frame.left, Math.min(x - width / 2, frame.right - width - BESIDE)) }));
  const places = [];
  for (const column of columnsOf(sized)) {
    const stacks = column.map((_, above) => above).concat(column.length).map((above) => stack(column, above, height, radius, circles));
    const fits = (tops) => tops.every((top) => top >= frame.top && top + height <= frame.bottom);
    const wanted = column.length > 1 ? Math.ceil(column.length / 2) : Number(column[0].isAbove);
    const near = stacks.map((tops, above) => ({ tops, far: Math.abs(above - wanted) })).sort((one, other) => one.far - other.far);
    const tops = near.find((one) => fits(one.tops))?.tops ?? squeezed(near[0].tops, height, frame);
    column.forEach(({ at, left }, index) => { places[at] = { left, top: tops[index] }; });
  }
  return places;
}

/** Groups of boxes that stand over each other, each from the highest point to the lowest. */
function columnsOf(boxes) {
  const columns = [];
  let right = -Infinity;
  for (const box of boxes.toSorted((one, other) => one.left - other.left)) {
    if (box.left > right + CLEAR) columns.push([]);
    columns.at(-1).push(box);
    right = Math.max(right, box.left + box.width);
  }
  return columns.map((column) => column.sort((one, other) => one.y - other.y));
}

/** The tops of the numbers of a column, if the first `above` of them stand above their points. */
function stack(column, above, height, radius, circles) {
  const tops = [];
  const isFree = ({ left, width }, top) => circles.every((one) => (
    left >= one.right || left + width <= one.left || top >= one.bottom || top + height <= one.top));
  let edge = Infinity;
  for (let at = above - 1; at >= 0; at -= 1) {
    let top = Math.min(edge, column[at].y - radius) - height;
    while (!isFree(column[at], top)) top -= 1;
    tops[at] = edge = top;
  }
  edge = -Infinity;
  for (let at = above; at < column.length; at += 1) {
    let top = Math.max(edge, column[at].y + radius);
    while (!isFree(column[at], top)) top += 1;
    tops[at] = top;
    edge = top + height;
  }
  return tops;
}

/** The tops moved into the frame, in their order; they may cover circles then. */
function squeezed(tops, height, { top, bottom }) {
  const raised = tops.map((own, at) => Math.min(own, bottom - height * (tops.length - at)));
  return raised.reduce((all, own) => [...all, Math.max(own, all.length ? all.at(-1) + height : top)], []);
}
