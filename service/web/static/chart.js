// Curves by epoch with uPlot: colours from the style sheet, marks, a log scale, and a reader for the keyboard.

const DASHES = [[], [8, 4], [10, 3, 2, 3], [2, 3], [5, 5], [1, 4], [12, 6], [6, 2]];
const FEW = 3; // up to this number of points are shown as dots
const LARGEST = 1e15; // that a scale can show; a larger loss is a gap
const LONG = 1e6; // larger ticks are written as powers of ten

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
    new ResizeObserver(() => this.resize()).observe(place);
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.rebuild());
    const reader = document.getElementById('epoch');
    reader.addEventListener('input', () => this.read(Number(reader.value), true));
  }

  /** Show curves. A chart of the same curves only gets the new points. */
  show(epochs, curves, { marks = [], isLog = false } = {}) {
    const before = this.curves.map((curve) => curve.label).join() + this.isLog;
    Object.assign(this, { epochs, curves, marks, isLog });
    this.place.dataset.points = epochs.length;
    if (!epochs.length) return;
    if (!this.plot || before !== curves.map((curve) => curve.label).join() + isLog) this.rebuild();
    else this.plot.setData(this.data());
    const reader = document.getElementById('epoch');
    document.getElementById('reader').hidden = false;
    const wasLast = Number(reader.value) >= Number(reader.max);
    reader.max = epochs.length - 1;
    if (wasLast) reader.value = reader.max;
    this.read(Number(reader.value), false);
  }

  data() {
    const isShown = (value) => value != null && Math.abs(value) <= LARGEST && (value > 0 || !this.isLog);
    return [this.epochs, ...this.curves.map((curve) => curve.values.map((value) => (isShown(value) ? value : null)))];
  }

  size() {
    const width = Math.max(240, this.place.clientWidth);
    return { width, height: Math.round(Math.min(420, Math.max(240, width * 0.5))) };
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
      cursor: { drag: { x: true, y: false } },
      hooks: { draw: [(plot) => this.drawMarks(plot)], setCursor: [(plot) => plot.cursor.idx != null && this.read(plot.cursor.idx, false)] },
    };
    this.plot = new uPlot(options, this.data(), this.place);
    this.drawLegend();
  }

  /** Draw a vertical line with a label for each mark. The labels do not overlap. */
  drawMarks(plot) {
    const { ctx, bbox } = plot;
    const ratio = devicePixelRatio || 1;
    ctx.save();
    ctx.font = `${12 * ratio}px system-ui, sans-serif`;
    ctx.strokeStyle = ctx.fillStyle = colour('--text');
    this.marks.forEach(({ epoch, label }, at) => {
      const x = Math.round(plot.valToPos(epoch, 'x', true));
      if (x < bbox.left || x > bbox.left + bbox.width) return;
      ctx.setLineDash([[], [6 * ratio, 4 * ratio], [2 * ratio, 3 * ratio]][at % 3]);
      ctx.lineWidth = ratio;
      ctx.beginPath();
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.stroke();
      const isRight = x > bbox.left + bbox.width / 2;
      ctx.textAlign = isRight ? 'right' : 'left';
      ctx.fillText(label, x + (isRight ? -5 : 5) * ratio, bbox.top + (14 + 16 * at) * ratio);
    });
    ctx.restore();
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
    const values = this.curves.filter((curve) => !this.hidden.has(curve.label)).map((curve) => `${curve.label} ${plain(curve.values[at])}`);
    document.getElementById('reading').textContent = `epoch ${epoch}: ${values.join(', ')}`;
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
