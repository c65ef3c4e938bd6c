"""The pictures of an archive: listed first, then placed by their folders or a label file, then read one by one."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from service.core.errors import InvalidData
from service.core.records.dataset import ReadingOptions
from service.core.text import counted, first_of
from workers.datasets.ingest import label_files
from workers.datasets.ingest.classes import in_order, odd_classes, refuse_few, refuse_untrained
from workers.datasets.ingest.folder_words import TRAIN
from workers.datasets.ingest.intake import Intake
from workers.datasets.ingest.label_rows import Labelling, label_by_rows, left_out, names_no_image
from workers.datasets.ingest.layout import Layout, arrange
from workers.datasets.ingest.listing import Listing
from workers.datasets.ingest.members import Archive
from workers.datasets.ingest.paths import Place, listed
from workers.datasets.ingest.progress import reported

SHOWN = 20  # files in a message


@dataclass(frozen=True)
class Labelled:
    """Where each image belongs. `is_divided`: the set says itself what is validated and tested on. `groups`: by image
    the group that the user gave it, empty where there is none.
    """

    names: Sequence[str]
    places: Sequence[Place]
    classes: Sequence[str]
    is_divided: bool = False
    warnings: Sequence[str] = ()
    groups: Sequence[str] = ()


@dataclass(frozen=True)
class Pictures:
    """The pictures of an archive with their places, before they are read."""

    archive: Archive
    options: ReadingOptions
    listing: Listing
    labelling: Labelling

    @classmethod
    def of(cls, archive: Archive, options: ReadingOptions, labels: Path | None) -> "Pictures":
        """Find out where the pictures belong. `labels` is the label file that was sent beside the archive.

        Raises InvalidData that says what is wrong, and with which files.
        """
        listing = Listing.of(archive)
        if not listing.pictures:
            raise InvalidData("there are no images in the archive; allowed: folders of pictures, one for each class")
        return cls(archive, options, listing, _label(listing, options, labels))

    def read(self, intake: Intake) -> Labelled:
        """Read the pictures that have a place. Raises InvalidData that names the pictures that cannot be read."""
        layout = self.labelling.layout
        names, broken = _read(self.archive, layout.places, intake)
        if broken and not (self.options.skip_broken and names):
            raise InvalidData(f"{_cannot_be_read(broken)}. skip_broken=true reads the rest")
        kept = [place for name in names if isinstance(place := layout.places[name], Place)]
        classes = in_order(place.label for place in kept)
        damaged = sorted(
            {place.label for name in broken if isinstance(place := layout.places[name], Place)} - set(classes)
        )
        refuse_few(classes, left_out(layout.places))
        if is_divided := any(place.part != TRAIN for place in kept):
            refuse_untrained(classes, kept)
        warnings = [
            *self.archive.names.warnings(),
            *self.labelling.warnings,
            *left_out(layout.places),
            *([f"left out: {_cannot_be_read(broken)}."] if broken else []),
            *([f"without a readable image, so not a class: {listed(damaged)}."] if damaged else []),
            *self.listing.warnings(),
            *_litter(self.archive.litter),
            *layout.warnings,
            *odd_classes(classes, kept),
            *_empty(layout, self.listing.folders, classes),
        ]
        groups = [self.labelling.groups.get(name, "") for name in names]
        return Labelled(names, kept, classes, is_divided, warnings, groups)


def _litter(files: int) -> Iterator[str]:
    if files:
        yield f"ignored: {counted(files, 'file')} of systems and tools."


def _label(listing: Listing, options: ReadingOptions, separate: Path | None) -> Labelling:
    """Place the pictures by the label file that was sent beside the archive, by those in it, or by their folders."""
    files, unused = listing.label_files()
    if separate:
        files, unused = [label_files.parse(separate.name, separate.read_bytes())], []
    elif vague := [file for file in files if file.is_vague and names_no_image(file, listing.pictures)]:
        files = [file for file in files if file not in vague]
        unused += [f"{file.name!r} names no image, such as {file.rows[0].file!r}" for file in vague]
    used = {file.name for file in files if not separate}
    listing.others += [name for name in listing.tables if name not in used]
    remarks = [f"not used: {reason}." for reason in unused]
    if files:
        by_rows = label_by_rows(files, listing.pictures, listing.others, skip_broken=options.skip_broken)
        return replace(by_rows, warnings=[*by_rows.warnings, *remarks])
    try:
        return Labelling(arrange(listing.pictures, listing.others), {}, remarks)
    except InvalidData as error:
        raise InvalidData("; ".join([str(error), *unused])) from error


def _read(archive: Archive, places: Mapping[str, Place | str], intake: Intake) -> tuple[list[str], dict[str, str]]:
    """Read the pictures that have a place: their names, and the reasons of those that cannot be read."""
    names: list[str] = []
    broken: dict[str, str] = {}
    placed = {name for name, place in places.items() if isinstance(place, Place)}
    members = (member for member in archive.members() if member.name in placed)
    for member in reported(members, len(placed), intake.report):
        try:
            picture = intake.decode(member.read())
        except InvalidData as error:
            broken[member.name] = str(error)
            continue
        intake.add(member.name, picture)
        names.append(member.name)
    return names, broken


def _cannot_be_read(broken: Mapping[str, str]) -> str:
    shown = first_of((f"{name!r}: {reason}" for name, reason in broken.items()), SHOWN, "; ")
    return f"{counted(len(broken), 'image')} cannot be read: {shown}"


def _empty(layout: Layout, folders: Sequence[str], classes: Sequence[str]) -> Iterator[str]:
    if empty := sorted({label for folder in folders if (label := layout.class_of(folder))} - set(classes)):
        have = "class folder has no images" if len(empty) == 1 else "class folders have no images"
        yield f"{len(empty)} {have}, so no class: {listed(empty)}."
