"""The data sets that every installation has: small ones at once, the others once a worker has downloaded them."""

from collections.abc import Mapping

from service.core.records.dataset import Contents, Dataset, DatasetStatus, Size


def _divided(classes: str, shape: tuple[int, int, int], train: tuple[int, ...], test: tuple[int, ...]) -> Contents:
    """A set that comes with a part to test on; images by class."""
    samples = sum(train) + sum(test)
    return Contents(
        classes=tuple(classes.split(", ")),
        samples_per_class=tuple(a + b for a, b in zip(train, test, strict=True)),
        shape=shape,
        sizes=(Size(shape[2], shape[1], samples),),
        modes={"L" if shape[0] == 1 else "RGB": samples},
        parts={"train": sum(train), "test": sum(test)},
    )


DIGITS = Contents(
    classes=tuple("0123456789"),
    samples_per_class=(178, 182, 177, 183, 181, 182, 181, 179, 174, 180),
    shape=(1, 8, 8),
    sizes=(Size(8, 8, 1797),),
    modes={"L": 1797},
)
MNIST = _divided(
    "0, 1, 2, 3, 4, 5, 6, 7, 8, 9",
    (1, 28, 28),
    (5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949),
    (980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009),
)
FASHION_MNIST = _divided(
    "T-shirt/top, Trouser, Pullover, Dress, Coat, Sandal, Shirt, Sneaker, Bag, Ankle boot",
    (1, 28, 28),
    (6000,) * 10,
    (1000,) * 10,
)
CIFAR10 = _divided(
    "airplane, automobile, bird, cat, deer, dog, frog, horse, ship, truck", (3, 32, 32), (5000,) * 10, (1000,) * 10
)
CIFAR100 = _divided(
    "apple, aquarium_fish, baby, bear, beaver, bed, bee, beetle, bicycle, bottle, bowl, boy, bridge, bus, butterfly, "
    "camel, can, castle, caterpillar, cattle, chair, chimpanzee, clock, cloud, cockroach, couch, crab, crocodile, cup, "
    "dinosaur, dolphin, elephant, flatfish, forest, fox, girl, hamster, house, kangaroo, keyboard, lamp, lawn_mower, "
    "leopard, lion, lizard, lobster, man, maple_tree, motorcycle, mountain, mouse, mushroom, oak_tree, orange, orchid, "
    "otter, palm_tree, pear, pickup_truck, pine_tree, plain, plate, poppy, porcupine, possum, rabbit, raccoon, ray, "
    "road, rocket, rose, sea, seal, shark, shrew, skunk, skyscraper, snail, snake, spider, squirrel, streetcar, "
    "sunflower, sweet_pepper, table, tank, telephone, television, tiger, tractor, train, trout, tulip, turtle, "
    "wardrobe, whale, willow_tree, wolf, woman, worm",
    (3, 32, 32),
    (500,) * 100,
    (100,) * 100,
)
SYNTHETIC = Contents(
    classes=tuple("abcdefghij"),
    samples_per_class=(1000,) * 10,
    shape=(3, 32, 32),
    sizes=(Size(32, 32, 10_000),),
    modes={"RGB": 10_000},
)

NAMED: Mapping[str, tuple[str, Contents]] = {
    "digits": ("Optical recognition of handwritten digits (UCI, as scikit-learn ships it)", DIGITS),
    "mnist": ("MNIST handwritten digits (LeCun, Cortes and Burges), downloaded by the worker", MNIST),
    "fashion-mnist": ("Fashion-MNIST (Zalando Research), downloaded by the worker", FASHION_MNIST),
    "cifar10": ("CIFAR-10 (Krizhevsky, 2009), downloaded by the worker", CIFAR10),
    "cifar100": ("CIFAR-100 (Krizhevsky, 2009), downloaded by the worker", CIFAR100),
    "synthetic": ("Random patterns in noise, made by the worker, for load tests", SYNTHETIC),
}
CONTENTS_OF: Mapping[str, Contents] = {dataset_id: contents for dataset_id, (_, contents) in NAMED.items()}
PACKS = "builtin"  # the folder of the storage with their packs, which workers put there at the first use of a set

BUILT_IN: Mapping[str, Dataset] = {
    dataset_id: Dataset(dataset_id, name, DatasetStatus.READY, contents)
    for dataset_id, (name, contents) in NAMED.items()
}


def pack_key(dataset_id: str, name: str) -> str:
    """The storage key of a file of the pack of a built-in set, PIXELS or INDEX."""
    return f"{PACKS}/{dataset_id}/{name}"
