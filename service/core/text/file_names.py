"""What the name of a file says before it is opened: whether it is litter of other programs, and whether it is an image.

The command that packs a folder and the worker that reads an archive pass over the same files.
"""

LITTER = frozenset(
    {
        "thumbs.db",
        "ehthumbs.db",
        "ehthumbs_vista.db",
        "desktop.ini",
        "picasa.ini",
        "icon\r",  # a folder's own icon on macOS
        "icon\uf00d",  # the same on a share
        "__macosx",
        "__pycache__",
        "@eadir",  # thumbnails of Synology's storages
        "@__thumb",  # of QNAP's
        "#recycle",
        "$recycle.bin",
        "system volume information",
        "lost+found",
    }
)
APPLE_DOUBLE = "._"  # attributes of the file with the rest of the name
DOWNLOADED = "zone.identifier"  # Windows' mark of a downloaded file, a file of its own where it was copied
READABLE = ".png .apng .jpg .jpeg .jpe .jfif .pjpeg .pjp .bmp .dib .gif .ppm .pgm .pbm .pnm .tif .tiff .webp"
UNREADABLE = (  # images of formats that are refused, not passed over as other files are
    ".svg .svgz .heic .heif .hif .avif .jp2 .j2k .jpx .jxl .psd .psb .ico .icns .tga .dds .pcx .exr .hdr .pfm .dcm "
    ".dicom .fits .cr2 .cr3 .nef .arw .dng .orf .rw2 .raf .eps .xcf"
)
IMAGES = frozenset(f"{READABLE} {UNREADABLE}".split())
LABEL_ENDINGS = (".csv", ".tsv", ".jsonl", ".ndjson")  # of a label file that is sent beside an archive


def is_image_name(name: str) -> bool:
    """Whether a file's ending is that of an image, of a format that can be read or of another one."""
    _, dot, ending = name.strip().rpartition("/")[2].rpartition(".")
    return bool(dot) and f".{ending.lower()}" in IMAGES


def is_hidden(name: str) -> bool:
    """Whether a part of a relative path with forward slashes is hidden, or a name that systems and tools give."""
    return any(part.startswith(".") or part.lower() in LITTER for part in name.split("/"))


def is_litter(name: str) -> bool:
    """Whether a relative path with forward slashes leads to a file that an operating system or a tool left behind.

    Hidden files with the ending of an image are none: they may be images of the user.
    """
    if any(part.startswith(APPLE_DOUBLE) for part in name.split("/")) or name.lower().endswith(DOWNLOADED):
        return True
    return is_hidden(name) and not is_image_name(name)
