"""The pages of data sets: the list with an upload form, and one page for each."""

from flask import request, url_for

from service.api.uploads import TYPES
from service.core.records.builtin_datasets import BUILT_IN
from service.core.records.dataset import BACKGROUNDS, PIXELS, DatasetStatus, ReadingOptions
from service.core.text.file_names import DOWNLOADED, LABEL_ENDINGS, LITTER
from service.http.auth import tenant
from service.rendering.dataset_sheet import CLASSES, OF_A_CLASS
from service.schemas.pages import MAX_PAGE
from service.services import services
from service.web.blueprint import blueprint, page
from service.web.twins import earlier_uploads

SKIP = "skip_broken=true"  # named by errors that this option avoids
MOST_CLASSES = 50  # shown with their number of images
BACKGROUND_WORDS = dict(zip(BACKGROUNDS, ("white", "black", "mean colour of the set"), strict=True))


@blueprint.get("/datasets")
def datasets() -> str:
    """List the own data sets, newest first, and the built-in ones"""
    newest = services().catalog.list(tenant(), MAX_PAGE)
    return page(
        "datasets",
        own=newest.items,
        earlier=earlier_uploads(newest.items),
        failed=[one.id for one in newest.items if one.status is DatasetStatus.FAILED],
        has_more=newest.next_seq is not None,
        built_in=list(BUILT_IN.values()),
        types=sorted(set(TYPES.values())),
        most_bytes=services().settings.max_upload_bytes,
        litter={"names": sorted(LITTER), "ending": DOWNLOADED},
        label_endings=LABEL_ENDINGS,
        backgrounds=BACKGROUND_WORDS,
        skip_broken=request.args.get("skip_broken") == "yes",
    )


@blueprint.get("/datasets/<dataset_id>")
def dataset(dataset_id: str) -> str:
    """Show a data set"""
    shown = services().catalog.get(tenant(), dataset_id)
    counts = list(zip(shown.contents.classes, shown.contents.samples_per_class, strict=True)) if shown.contents else []
    is_read = shown.status is DatasetStatus.PROCESSING
    has_pictures = any(file.name == PIXELS for file in shown.packed)
    return page(
        "dataset",
        dataset=shown,
        position=services().wakeups.position(dataset_id) if is_read else None,
        counts=counts[:MOST_CLASSES],
        hidden=max(0, len(counts) - MOST_CLASSES),
        most=max((count for _, count in counts), default=1),
        earlier=earlier_uploads(services().catalog.list(tenant(), MAX_PAGE).items).get(dataset_id),
        is_own=dataset_id not in BUILT_IN,
        sheet=url_for("datasets.pictures", dataset_id=dataset_id) if has_pictures else None,
        used=services().store.queries.count_on(tenant(), dataset_id),
        rows=[name for name, _ in counts[:CLASSES]],
        across=OF_A_CLASS,
        usual=ReadingOptions(),
        may_skip=bool(shown.error and SKIP in shown.error.detail),
        backgrounds=BACKGROUND_WORDS,
    )
