// Curves by epoch with uPlot: colours from the style sheet, marks, a log scale, and a reader for the keyboard.

import { placeBeside, placeMarks, placeNumbers } from './labels.js';

const DASHES = [[], [8, 4], [10, 3, 2, 3], [2, 3], [5, 5], [1, 4], [12, 6], [6, 2]];
const FEW = 3; // up to this number of points are shown as dots
const LARGEST = 1e15; // that a scale can show; a larger loss is a gap
const LONG = 1e6; // larger ticks are written as powers of ten
const ROW = 16; // pixels of a label

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const tickOf = (value) => (Math.abs(value) >= LONG ? value.toExponential() : Number(value.toPrecision(6)).toString());
const plain = (value) => (value == null ? '–' : Math.abs(value) >= 1 || value === 0 ? value.toPrecision(4) : value.toPrecision(3));

export class Curves {
  /** `place` is the element of the chart. The other elements are found by their ids. */
  constructor(place) {
    this.place = place;
    this.hidden = new Set();
    this.curves = []; // {label, values, style, colour}: one value per epoch of this.epochs, or null
    this.epochs = [];
    this.marks = []; // {epoch, label}
    this.isLog = false;
    this.level = null; // {value, label}: a horizontal line
    this.points = []; // {epoch, value, text, curve}: circles with their number
    this.tip = Object.assign(document.createElement('div'), { className: 'tip', hidden: true });
    place.append(this.tip);
    place.addEventListener('pointerleave', () => { this.tip.hidden = true; });
    new ResizeObserver(() => this.resize()).observe(place);
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.rebuild());
    const reader = document.getElementById('epoch');
    reader.addEventListener('input', () => this.read(Number(reader.value), true));
  }

  /** Show curves. A chart of the same curves only gets the new points. */
  show(epochs, curves, { marks = [], isLog = false, level = null, points = [] } = {}) {
    const before = this.signature();
    Object.assign(this, { epochs, curves, marks, isLog, level, points });
    this.place.dataset.points = epochs.length;
    if (!epochs.length) return;
    if (!this.plot || before !== this.signature()) this.rebuild();
    else this.plot.setData(this.data());
    const reader = document.getElementById('epoch');
    document.getElementById('reader').hidden = false;
    const wasLast = Number(reader.value) >= Number(reader.max);
    reader.max = epochs.length - 1;
    if (wasLast) reader.value = reader.max;
    this.read(Number(reader.value), false);
  }

  /** What a drawn chart cannot change without being built anew. */
  signature() {
    return [this.curves.map((curve) => curve.label), this.isLog, this.marks.length].join();
  }

  data() {
    const isShown = (value) => value != null && Math.abs(value) <= LARGEST && (value > 0 || !this.isLog);
    return [this.epochs, ...this.curves.map((curve) => curve.values.map((value) => (isShown(value) ? value : null)))];
  }

  size() {
    const width = Math.max(240, this.place.clientWidth);
    return { width, height: Math.round(Math.min(360, Math.max(200, width * 0.4))) };
  }

  resize() {
    if (this.plot && this.plot.width !== this.size().width) this.plot.setSize(this.size());
  }

  rebuild() {
    if (!this.epochs.length) return;
    this.plot?.destroy();
    const axis = { stroke: colour('--text'), grid: { stroke: colour('--line'), width: 1 }, ticks: { stroke: colour('--line') } };
    const series = this.curves.map((curve, at) => ({
      label: curve.label, show: !this.hidden.has(curve.label), stroke: colour(`--curve-${curve.colour ?? at + 1}`),
      dash: DASHES[curve.style ?? at], width: 2, spanGaps: true, points: { show: (plot) => plot.data[0].length < FEW, size: 7 },
    }));
    const options = {
      ...this.size(), series: [{}, ...series], legend: { show: false },
      scales: { x: { time: false }, y: { distr: this.isLog ? 3 : 1 } },
      axes: [
        { ...axis, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000] },
        { ...axis, size: 62, values: (_, ticks) => ticks.map((tick) => (tick == null ? '' : tickOf(tick))) },
      ],
      padding: [8 + ROW * this.marks.length, null, null, null],
      cursor: { drag: { x: true, y: false } },
      hooks: { draw: [(plot) => this.drawMarks(plot)], setCursor: [(plot) => this.point(plot)] },
    };
    this.plot = new uPlot(options, this.data(), this.place);
    this.drawLegend();
  }

  /** Draw the marks, the numbers that the verdict names, and the level, whose label takes the place that is left. */
  drawMarks(plot) {
    const { ctx } = plot;
    const ratio = devicePixelRatio || 1;
    ctx.save();
    ctx.font = `${12 * ratio}px system-ui, sans-serif`;
    ctx.strokeStyle = ctx.fillStyle = colour('--text');
    ctx.lineWidth = ratio;
    const lines = drawLines(plot, this.marks, ratio);
    const numbers = drawPoints(plot, this.points, ratio);
    this.drawLevel(plot, ratio, [...lines, ...numbers]);
    ctx.restore();
  }

  drawLevel(plot, ratio, obstacles) {
    const { ctx, bbox } = plot;
    const frame = frameOf(bbox);
    const y = this.level && plot.valToPos(this.level.value, 'y', true);
    if (!(y > frame.top && y < frame.bottom)) return;
    ctx.setLineDash([ratio, 3 * ratio]);
    stroke(ctx, [frame.left, y], [frame.right, y]);
    const { label } = this.level;
    const all = [...obstacles, ...this.boxesOfCurves(plot)];
    const place = placeBeside(y, ctx.measureText(label).width, ROW * ratio, frame, all)
      ?? placeBeside(y, ctx.measureText(label).width, ROW * ratio, frame, obstacles);
    if (place) write(ctx, label, place.left, place.top, ratio);
  }

  /** Boxes around the pieces of the shown curves between two epochs. */
  boxesOfCurves(plot) {
    const xs = this.epochs.map((epoch) => plot.valToPos(epoch, 'x', true));
    return plot.data.slice(1).filter((_, at) => plot.series[at + 1].show).flatMap((values) => {
      const ys = values.map((value) => (value == null ? null : plot.valToPos(value, 'y', true)));
      return ys.flatMap((y, at) => {
        const last = at ? ys[at - 1] ?? y : y;
        return y == null ? [] : [{ left: xs[Math.max(0, at - 1)], right: xs[at], top: Math.min(y, last), bottom: Math.max(y, last) }];
      });
    });
  }

  /** Show the values of the epoch under the pointer beside it. */
  point({ cursor, over }) {
    if (cursor.idx == null) return;
    this.read(cursor.idx, false);
    this.tip.hidden = !over.matches(':hover');
    this.tip.replaceChildren(...this.wordsOf(cursor.idx).map((words) => Object.assign(document.createElement('div'), { textContent: words })));
    const isRight = cursor.left > over.clientWidth / 2;
    this.tip.style.left = `${over.offsetLeft + cursor.left + (isRight ? -12 - this.tip.offsetWidth : 12)}px`;
    this.tip.style.top = `${over.offsetTop + 8}px`;
  }

  /** The epoch and its values, each as words. */
  wordsOf(at) {
    const values = this.curves.filter((curve) => !this.hidden.has(curve.label)).map((curve) => `${curve.label} ${plain(curve.values[at])}`);
    return [`epoch ${this.epochs[at]}`, ...values];
  }

  drawLegend() {
    const legend = document.getElementById('legend');
    legend.replaceChildren(...this.curves.map((curve, at) => {
      const label = document.createElement('label');
      label.className = 'choice';
      const box = Object.assign(document.createElement('input'), { type: 'checkbox', checked: !this.hidden.has(curve.label) });
      box.addEventListener('change', () => {
        this.hidden[box.checked ? 'delete' : 'add'](curve.label);
        this.plot.setSeries(at + 1, { show: box.checked });
      });
      label.append(box, sample(curve.colour ?? at + 1, DASHES[curve.style ?? at]), curve.label);
      return label;
    }));
  }

  /** Show the values of an epoch as text, and move the cursor to it if the user chose it. */
  read(at, isChosen) {
    const epoch = this.epochs[at];
    if (epoch === undefined) return;
    const [first, ...values] = this.wordsOf(at);
    document.getElementById('reading').textContent = `${first}: ${values.join(', ')}`;
    document.getElementById('epoch').setAttribute('aria-valuetext', `epoch ${epoch}`);
    if (isChosen) this.plot.setCursor({ left: this.plot.valToPos(epoch, 'x'), top: 10 }, false);
  }
}

/** A sample of a curve's line for the legend. */
function sample(hue, dash) {
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  const line = document.createElementNS('http://www.w3.org/2000/svg', 'path');
  for (const [name, value] of Object.entries({ viewBox: '0 0 28 10', width: 28, height: 10, 'aria-hidden': true })) svg.setAttribute(name, value);
  line.setAttribute('d', 'M0 5H28');
  line.setAttribute('class', `curve-${hue}`);
  line.setAttribute('stroke-dasharray', dash.join(' '));
  svg.append(line);
  return svg;
}

const frameOf = ({ left, top, width, height }) => ({ left, top, right: left + width, bottom: top + height });

function stroke(ctx, from, to) {
  ctx.beginPath();
  ctx.moveTo(...from);
  ctx.lineTo(...to);
  ctx.stroke();
}

/** Write a text into a box of the height of a row; what lies below it is covered. Returns the box. */
function write(ctx, text, left, top, ratio) {
  const box = { left, top, right: left + ctx.measureText(text).width, bottom: top + ROW * ratio };
  const ink = ctx.fillStyle;
  ctx.fillStyle = colour('--card');
  ctx.fillRect(left - ratio, top + ratio, box.right - left + 2 * ratio, (ROW - 2) * ratio);
  ctx.fillStyle = ink;
  ctx.textAlign = 'left';
  ctx.fillText(text, left, top + 12 * ratio);
  return box;
}

/** Draw a vertical line for each mark, up to its label above the curves. Returns the boxes of the lines. */
function drawLines({ ctx, bbox, valToPos }, marks, ratio) {
  const frame = frameOf(bbox);
  const shown = marks.map(({ epoch, label }, at) => ({ label, x: Math.round(valToPos(epoch, 'x', true)), width: ctx.measureText(label).width, at }))
    .filter(({ x }) => x >= frame.left && x <= frame.right);
  placeMarks(shown, frame.left, frame.right).forEach(({ x, start, row }, index) => {
    const { label, at } = shown[index];
    const top = frame.top - (row + 1) * ROW * ratio;
    const isBeside = x < start || x > start + shown[index].width;
    ctx.setLineDash([[], [6 * ratio, 4 * ratio], [2 * ratio, 3 * ratio]][at % 3]);
    stroke(ctx, [x, isBeside ? top : top + ROW * ratio], [x, frame.bottom]);
    ctx.setLineDash([]);
    ctx.textAlign = 'left';
    ctx.fillText(label, start, top + 12 * ratio);
  });
  return shown.map(({ x }) => ({ left: x, right: x, top: frame.top, bottom: frame.bottom }));
}

/** Draw circles with their numbers, a single one above the validation curve and below that of training. Returns their
 * boxes. */
function drawPoints(plot, points, ratio) {
  const { ctx } = plot;
  const frame = frameOf(plot.bbox);
  const [radius, height] = [4.5 * ratio, ROW * ratio];
  const shown = points.map(({ epoch, value, text, curve }) => ({
    x: plot.valToPos(epoch, 'x', true), y: plot.valToPos(value, 'y', true), text, width: ctx.measureText(text).width, isAbove: curve === 'val_loss',
  })).filter(({ x, y }) => x >= frame.left && x <= frame.right && y >= frame.top && y <= frame.bottom);
  ctx.setLineDash([]);
  const circles = shown.map(({ x, y }) => {
    ctx.beginPath();
    ctx.arc(x, y, radius, 0, 2 * Math.PI);
    ctx.stroke();
    return { left: x - radius, right: x + radius, top: y - radius, bottom: y + radius };
  });
  const places = placeNumbers(shown, height, radius, frame);
  return [...circles, ...shown.map(({ text }, at) => write(ctx, text, places[at].left, places[at].top, ratio))];
}
