// The measures of one run as curves of a chart, and the marks at its epochs.

const LABELS = {
  train_loss: 'training', train_loss_clean: 'clean training', val_loss: 'validation', train_accuracy: 'training',
  val_accuracy: 'validation', lr: 'learning rate',
};
const MEASURES = {
  loss: ['train_loss', 'train_loss_clean', 'val_loss'],
  accuracy: ['train_accuracy', 'val_accuracy'],
  lr: ['lr'],
};
const COLOURS = { train_loss: 1, train_loss_clean: 2, val_loss: 3, train_accuracy: 1, val_accuracy: 3, lr: 4 };
const STYLES = { train_loss: 1, train_loss_clean: 2, train_accuracy: 1 }; // dashed; the solid curve decides

/** The curves of `loss`, `accuracy` or `lr` over the rows of epochs, without those that no row has. */
export const curvesOf = (rows, measure) => MEASURES[measure]
  .filter((name) => !rows.length || rows.some((row) => name in row))
  .map((name) => ({
    label: LABELS[name], style: STYLES[name] ?? 0, colour: COLOURS[name], values: rows.map((row) => row[name]),
  }));

/** The score of guessing the shares of the classes, as a level of the chart; none where it is not known. */
export function levelOf({ guess, guessAccuracy }, measure) {
  const value = { loss: guess, accuracy: guessAccuracy }[measure];
  return value ? { value: Number(value), label: `guessing ${Number(value).toPrecision(3)}` } : null;
}

/** The marks of the epochs that are known. */
export function marksOf({ best, onset, verdict, stop }) {
  const lines = [[best, `best: ${best}`], [onset, `${verdict} since ${onset}`], [stop, `stop: ${stop}`]];
  return lines.filter(([epoch]) => epoch).map(([epoch, label]) => ({ epoch: Number(epoch), label }));
}
