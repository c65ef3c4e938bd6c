"""A plain convolutional network."""

from torch import nn

from service.core.spec import Cnn
from workers.training.models.head import dense

GROUPS = 8  # of group normalization, where the channels divide by it


def build_cnn(options: Cnn, shape: tuple[int, int, int], classes: int, dropout: float) -> nn.Module:
    """Blocks of convolution, norm, ReLU and 2x2 max pooling, then fully connected layers.

    Images [N, C, H, W] to logits [N, classes]; each block halves H and W (rounding down), the convolutions keep them.
    Without hidden layers, dropout acts on the features that the output layer sees.
    """
    inputs, height, width = shape
    layers: list[nn.Module] = []
    for outputs in options.channels:
        before, after = (options.kernel_size - 1) // 2, options.kernel_size // 2
        if before != after:  # an even kernel has no middle: one more row and column of zeros after than before
            layers.append(nn.ZeroPad2d((before, after, before, after)))
        layers.append(nn.Conv2d(inputs, outputs, options.kernel_size, padding=before if before == after else 0))
        if options.norm == "batch":
            layers.append(nn.BatchNorm2d(outputs))
        elif options.norm == "group":
            layers.append(nn.GroupNorm(GROUPS if outputs % GROUPS == 0 else 1, outputs))
        layers += [nn.ReLU(), nn.MaxPool2d(2)]
        inputs, height, width = outputs, height // 2, width // 2
    layers.append(nn.Flatten())
    layers += dense(inputs * height * width, options.hidden, classes, dropout, drop_input=not options.hidden)
    return nn.Sequential(*layers)
