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
