"""Crop, flip, rotation and erasing: the possible results for an image, independent draws, and their frequencies."""

import math
from collections.abc import Callable
from random import Random

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as transforms

from tests.workers.training.small import seeded
from workers.training.data.augmentation.color_jitter import color_jitter
from workers.training.data.augmentation.crop import random_crop
from workers.training.data.augmentation.draws import CPU, chances, integers, permutation, uniform
from workers.training.data.augmentation.flip import alternating_flip, horizontal_flip, vertical_flip
from workers.training.data.augmentation.layout import select
from workers.training.data.augmentation.rand_augment import rand_augment
from workers.training.data.augmentation.random_erasing import random_erasing
from workers.training.data.augmentation.resized_crop import random_resized_crop, resized_crop
from workers.training.data.augmentation.rotation import rotate, rotate_by
from workers.training.data.augmentation.trivial_augment import trivial_augment

Augmentation = Callable[[Tensor, torch.Generator], Tensor]

ON_BYTES: dict[str, Augmentation] = {
    "crop": lambda images, random: random_crop(images, 2, random),
    "flip": horizontal_flip,
    "vertical": vertical_flip,
    "resized": lambda images, random: random_resized_crop(images, 0.3, random),
    "jitter": lambda images, random: color_jitter(images, 0.5, random),
    "rotation": lambda images, random: rotate(images, 40, random),
    "trivial": trivial_augment,
    "rand": lambda images, random: rand_augment(images, 2, 9, random),
}
ALL = ON_BYTES | {"erasing": lambda images, random: random_erasing(images, 0.5, random)}
every = pytest.mark.parametrize("augment", [pytest.param(f, id=name) for name, f in ALL.items()])
on_bytes = pytest.mark.parametrize("augment", [pytest.param(f, id=name) for name, f in ON_BYTES.items()])


def pictures(n: int, channels: int = 3, height: int = 12, width: int = 10) -> Tensor:
    return torch.randint(1, 256, (n, channels, height, width), dtype=torch.uint8, generator=seeded(9))


def same(image: Tensor, n: int) -> Tensor:
    return image.expand(n, *image.shape).contiguous()


def is_uniform(counts: Tensor) -> bool:
    """Chi-square test against equal counts. Uniform counts fail about once in ten thousand cases."""
    expected = counts.sum() / len(counts)
    freedom = len(counts) - 1
    return bool((counts - expected).square().sum() / expected < freedom + 4 * math.sqrt(2 * freedom) + 6)


@every
@pytest.mark.parametrize("channels", [1, 2, 3, 5])
def test_shape_and_type_stay_and_the_input_is_not_changed(augment: Augmentation, channels: int) -> None:
    images = pictures(40, channels)
    images = images.float() if augment is ALL["erasing"] else images
    before = images.clone()
    result = augment(images, seeded())
    assert (result.shape, result.dtype) == (images.shape, images.dtype)
    assert torch.equal(images, before)
    assert not torch.equal(result, before)
    result.zero_()
    assert torch.equal(images, before)


@every
def test_result_depends_on_the_generator_state_alone(augment: Augmentation) -> None:
    images, random = pictures(40), seeded()
    first, second = augment(images, random), augment(images, random)
    torch.manual_seed(1)
    assert torch.equal(augment(images, seeded()), first)
    assert not torch.equal(first, second)


@every
def test_equal_images_in_one_batch_become_different_ones(augment: Augmentation) -> None:
    results = augment(same(pictures(1)[0], 40), seeded())
    assert len(torch.unique(results.flatten(1), dim=0)) > (1 if augment in (horizontal_flip, vertical_flip) else 5)


@every
def test_an_image_does_not_depend_on_its_neighbours(augment: Augmentation) -> None:
    images = pictures(40)
    others = images.clone()
    others[::2] = 0
    assert torch.equal(augment(images, seeded())[1::2], augment(others, seeded())[1::2])


@every
def test_the_memory_format_changes_no_value(augment: Augmentation) -> None:
    images = pictures(40)
    assert torch.equal(augment(images.to(memory_format=torch.channels_last), seeded()), augment(images, seeded()))


@pytest.mark.parametrize("name", ["crop", "flip", "vertical", "erasing"])
def test_channels_last_is_kept_where_that_costs_nothing(name: str) -> None:
    images = pictures(8).to(memory_format=torch.channels_last)
    assert ALL[name](images, seeded()).is_contiguous(memory_format=torch.channels_last)


@every
def test_one_image_is_a_batch_too(augment: Augmentation) -> None:
    assert augment(pictures(1), seeded()).shape == (1, 3, 12, 10)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@on_bytes
def test_gpu_gives_the_same_images_without_synchronizing(augment: Augmentation) -> None:
    images = pictures(40)
    on_gpu = images.to("cuda")
    augment(on_gpu, seeded())
    torch.cuda.set_sync_debug_mode("error")
    try:
        result = augment(on_gpu, seeded())
    finally:
        torch.cuda.set_sync_debug_mode("default")
    differences = (result.cpu().int() - augment(images, seeded()).int()).abs()
    assert (differences > 1).double().mean() < 0.001


def crops(image: Tensor, padding: int) -> list[Tensor]:
    """Every crop of the padded image, pixel by pixel."""
    height, width = image.shape[1:]
    every_crop = []
    for top in range(2 * padding + 1):
        for left in range(2 * padding + 1):
            crop = torch.zeros_like(image)
            for y in range(height):
                for x in range(width):
                    row, column = y + top - padding, x + left - padding
                    if 0 <= row < height and 0 <= column < width:
                        crop[:, y, x] = image[:, row, column]
            every_crop.append(crop)
    return every_crop


@given(st.integers(0, 2), st.integers(1, 3), st.integers(1, 5), st.integers(1, 5), st.booleans(), st.integers(0, 99))
def test_a_crop_is_one_of_those_of_the_padded_image(
    padding: int, channels: int, height: int, width: int, channels_last: bool, seed: int
) -> None:
    images = pictures(3, channels, height, width)
    given_images = images.to(memory_format=torch.channels_last) if channels_last else images
    for image, result in zip(images, random_crop(given_images, padding, seeded(seed)), strict=True):
        assert any(torch.equal(result, crop) for crop in crops(image, padding))


def test_every_crop_position_is_equally_likely() -> None:
    padding, size, n = 2, 5, 5000
    image = torch.arange(size * size, dtype=torch.uint8).view(1, size, size)
    middle = random_crop(same(image, n), padding, seeded())[:, 0, padding, padding]
    assert is_uniform(torch.bincount(middle.long(), minlength=size * size).double())


@pytest.mark.parametrize(("flip", "dimension"), [(horizontal_flip, 3), (vertical_flip, 2)])
def test_a_flip_is_the_mirror_image_for_one_half_of_the_images(flip: Augmentation, dimension: int) -> None:
    images = pictures(2000, height=3, width=4)
    results = flip(images, seeded())
    kept = (results == images).flatten(1).all(1)
    backwards = torch.arange(images.shape[dimension]).flip(0)
    mirrored = (results == images.index_select(dimension, backwards)).flatten(1).all(1)
    assert torch.equal(mirrored, ~kept)
    assert is_uniform(torch.bincount(mirrored.long()).double())
    both = torch.bincount(mirrored[:-1].long() * 2 + mirrored[1:].long())
    assert is_uniform(both.double())


def test_alternating_flip_mirrors_each_image_every_second_epoch() -> None:
    images = pictures(2000, height=3, width=4)
    first, second, third = (alternating_flip(images, epoch) for epoch in (1, 2, 3))
    mirrored = (first != images).flatten(1).any(1)
    backwards = images.flip(3)
    assert torch.equal(first, torch.where(mirrored[:, None, None, None], backwards, images))
    assert torch.equal(second, torch.where(mirrored[:, None, None, None], images, backwards))
    assert torch.equal(third, first)
    assert is_uniform(torch.bincount(mirrored.long()).double())
    assert torch.equal(alternating_flip(images.to(memory_format=torch.channels_last), 1), first)
    some = torch.tensor([5, 3, 1999])
    assert torch.equal(alternating_flip(images[some], 1), first[some]), "in whichever batch"


@pytest.mark.parametrize("channels", [1, 3])
def test_resized_crop_equals_torchvisions(channels: int) -> None:
    images = pictures(60, channels, 14, 11)
    draw = Random(1)
    sizes = [(draw.randint(1, 14), draw.randint(1, 11)) for _ in images]
    boxes = [(draw.randint(0, 14 - rows), draw.randint(0, 11 - columns), rows, columns) for rows, columns in sizes]
    results = resized_crop(images, torch.tensor(boxes, dtype=torch.float32))
    for image, box, result in zip(images, boxes, results, strict=True):
        expected = transforms.resized_crop(image.float(), *box, size=[14, 11], antialias=False)
        assert (result - expected).abs().max() < 0.51


def test_crop_of_the_whole_image_changes_nothing() -> None:
    images = pictures(4, height=13, width=28)
    whole = torch.tensor([[0.0, 0.0, 13.0, 28.0]]).expand(4, 4)
    assert torch.equal(resized_crop(images, whole), images)


def test_crops_have_uniform_shares_ratios_and_places() -> None:
    size, n = 64, 4000
    across = torch.arange(size, dtype=torch.uint8).mul(3).expand(size, size)
    ramps = torch.stack([across, across.T])  # three times the column, and the row
    results = random_resized_crop(same(ramps, n), 0.25, seeded()).float() / 3
    first, last = results[:, :, 0, 0], results[:, :, -1, -1]
    lengths = (last - first + 1).clamp(max=size)  # an end lies within half a step of the crop's
    shares, ratios = lengths.prod(1) / size**2, (lengths[:, 0] / lengths[:, 1]).log()
    assert 0.2 < shares.min() < 0.27
    assert shares.mean() == pytest.approx(0.62, abs=0.03)
    assert ratios.mean() == pytest.approx(0, abs=0.02)
    assert ratios.abs().max() < math.log(4 / 3) + 0.1
    middles = ((first + last) / 2).mean(0)
    assert middles.tolist() == pytest.approx([(size - 1) / 2] * 2, abs=1)


@pytest.mark.parametrize("channels", [1, 3])
def test_color_jitter_equals_torchvisions(channels: int) -> None:
    images = pictures(50, channels)
    results = color_jitter(images, 0.5, seeded(3))
    factors = 1 + uniform((3, 50), -0.5, 0.5, seeded(3), CPU)
    for image, result, (bright, contrast, saturation) in zip(images, results, factors.T.tolist(), strict=True):
        expected = transforms.adjust_contrast(transforms.adjust_brightness(image, bright), contrast)
        if channels == 3:
            expected = transforms.adjust_saturation(expected, saturation)
        assert (result.int() - expected.int()).abs().max() <= 1


def test_rotation_by_0_degrees_changes_nothing() -> None:
    images = pictures(20, height=13, width=28)
    assert torch.equal(rotate(images, 0, seeded()), images)


@pytest.mark.parametrize("size", [8, 9, 28, 33])
@pytest.mark.parametrize("quarters", [1, 2, 3, -1])
def test_rotation_by_quarter_turns_is_exact(size: int, quarters: int) -> None:
    images = pictures(4, height=size, width=size)
    assert torch.equal(rotate_by(images, torch.full((4,), 90.0 * quarters)), images.rot90(quarters, (2, 3)))


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_rotation_equals_torchvisions(channels: int) -> None:
    images, degrees = pictures(50, channels, 14, 11), uniform((50,), -180, 180, seeded(), CPU)
    for image, angle, result in zip(images, degrees.tolist(), rotate_by(images, degrees), strict=True):
        expected = transforms.rotate(image, angle, interpolation=InterpolationMode.BILINEAR)
        assert (result.int() - expected.int()).abs().max() <= 1


def test_pixels_from_outside_the_image_are_black() -> None:
    turned = rotate_by(torch.full((1, 1, 15, 15), 200, dtype=torch.uint8), torch.tensor([45.0]))[0, 0]
    assert turned[[0, 0, -1, -1], [0, -1, 0, -1]].tolist() == [0, 0, 0, 0]
    assert turned[7].tolist() == [200] * 15


def test_angles_are_uniform_up_to_the_degrees() -> None:
    size, distance, n = 31, 14, 4000
    across = (torch.arange(size, dtype=torch.uint8) * 8).expand(size, size)
    ramps = torch.stack([across, across.T])  # the value is the position, in eighths of a pixel
    read = rotate(same(ramps, n), 20, seeded())[:, :, size // 2, size // 2 + distance].float() / 8 - size // 2
    angles = torch.atan2(read[:, 1], read[:, 0]).rad2deg()
    assert (read.square().sum(1).sqrt() - distance).abs().max() < 0.2
    assert angles.abs().max() < 20.5
    assert is_uniform(torch.histc(angles, bins=8, min=-20, max=20))


def erased(height: int, width: int, n: int, probability: float = 1.0, seed: int = 0) -> Tensor:
    """bool [n, height, width]: the erased pixels of images that have no zeros."""
    images = 1 + torch.rand(n, 2, height, width, generator=seeded(3))
    results = random_erasing(images, probability, seeded(seed))
    gone = results == 0
    assert torch.equal(results[~gone], images[~gone])
    assert torch.equal(gone[:, 0], gone[:, 1])
    return gone[:, 0]


def test_erased_part_is_one_rectangle_of_allowed_size() -> None:
    height, width = 40, 30
    gone = erased(height, width, 2000)
    rows, columns = gone.any(2), gone.any(1)
    assert torch.equal(gone, rows[:, :, None] & columns[:, None, :])
    for in_line in (rows, columns):  # without gaps
        assert (in_line[:, 1:] & ~in_line[:, :-1]).sum(1).add(in_line[:, 0]).eq(1).all()
    heights, widths = rows.sum(1), columns.sum(1)
    assert heights.max() < height
    assert widths.max() < width
    # Each side is rounded, by half a pixel at most.
    largest, smallest = (heights + 0.5) * (widths + 0.5), (heights - 0.5) * (widths - 0.5)
    assert (largest / (height * width) >= 0.02).all()
    assert (smallest / (height * width) <= 0.33).all()
    assert ((heights + 0.5) / (widths - 0.5) >= 0.3).all()
    assert ((heights - 0.5) / (widths + 0.5) <= 3.3).all()
    area = heights * widths / (height * width)
    assert area.min() < 0.03
    assert area.max() > 0.3
    assert (heights > 2 * widths).any()
    assert (widths > 2 * heights).any()


def test_the_rectangle_can_be_anywhere() -> None:
    gone = erased(9, 9, 3000)
    corners = torch.stack([gone[:, y, x].sum() for y in (0, -1) for x in (0, -1)])
    assert gone.any(0).all()
    assert is_uniform(corners.double())


@pytest.mark.parametrize("probability", [0.0, 0.25, 1.0])
def test_erasing_has_its_probability_for_each_image(probability: float) -> None:
    n = 4000
    share = erased(16, 16, n, probability).flatten(1).any(1).double().mean().item()
    assert share == pytest.approx(probability, abs=4 * math.sqrt(probability * (1 - probability) / n))


def first_that_fits(height: int, width: int, random: Random) -> int:
    """The area of the first of ten rectangles that fits, by a loop; 0 if none does."""
    for _ in range(10):
        area = height * width * random.uniform(0.02, 0.33)
        aspect = math.exp(random.uniform(math.log(0.3), math.log(3.3)))
        h, w = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if h < height and w < width:
            return h * w
    return 0


@pytest.mark.parametrize(("height", "width"), [(2, 64), (3, 50), (20, 20)])
def test_erasing_uses_the_first_of_ten_rectangles_that_fits(height: int, width: int) -> None:
    n, random = 4000, Random(5)
    areas = erased(height, width, n).flatten(1).sum(1).double()
    expected = torch.tensor([first_that_fits(height, width, random) for _ in range(n)], dtype=torch.float64)
    for measure in (areas, areas.eq(0).double()):
        other = expected if measure is areas else expected.eq(0).double()
        assert (measure.mean() - other.mean()).abs() <= 4 * math.sqrt(2 / n) * other.std()


def test_an_image_that_is_one_line_is_left_alone() -> None:
    assert not erased(1, 20, 50).any()


def test_draws_have_their_documented_range_and_distribution() -> None:
    n = 8000
    numbers = uniform((n,), -3, 5, seeded(), CPU)
    assert numbers.dtype == torch.float32
    assert -3 <= numbers.min() <= numbers.max() <= 5
    assert is_uniform(torch.histc(numbers, bins=16, min=-3, max=5))
    assert is_uniform(torch.bincount(integers((n,), 2, 9, seeded(), CPU)).double()[2:])
    assert set(integers((n,), 2, 9, seeded(), CPU).tolist()) == {2, 3, 4, 5, 6, 7, 8}
    assert chances((n,), 0.3, seeded(), CPU).double().mean().item() == pytest.approx(0.3, abs=0.02)
    assert chances((n,), 1, seeded(), CPU).all()
    assert not chances((n,), 0, seeded(), CPU).any()
    orders = torch.stack([permutation(3, random, CPU) for random in [seeded()] for _ in range(3000)])
    assert torch.equal(orders.sort().values, torch.arange(3).expand(3000, 3))
    counts = torch.unique(orders, dim=0, return_counts=True)[1]
    assert len(counts) == 6
    assert is_uniform(counts.double())


@given(st.integers(1, 3), st.booleans(), st.lists(st.integers(0, 4), min_size=1, max_size=9))
def test_selecting_is_indexing_and_keeps_the_memory_format(channels: int, last: bool, index: list[int]) -> None:
    memory_format = torch.channels_last if last else torch.contiguous_format
    images = pictures(5, channels).to(memory_format=memory_format)
    chosen = select(images, torch.tensor(index))
    assert torch.equal(chosen, images[index])
    assert chosen.is_contiguous(memory_format=memory_format)
