"""The photographs of `photo` with sources and licences, and the subjects in them."""

from dataclasses import dataclass

CC_BY_4 = "CC-BY-4.0"
CC_BY_2 = "CC-BY-2.0"
CC0 = "CC0-1.0"
PUBLIC_DOMAIN = "public domain"


@dataclass(frozen=True)
class Photograph:
    """`package` is `deb:NAME` of Debian or `pip:NAME==VERSION`; `file` is the path inside it."""

    title: str
    author: str
    licence: str
    package: str
    file: str


LOMIRI, PALAPELI = "deb:lomiri-wallpapers-16.04", "deb:palapeli-data"
SKIMAGE, SKLEARN, SCIPY = "pip:scikit-image==0.26.0", "pip:scikit-learn==1.9.1", "pip:scipy==1.9.3"


def _lomiri(file: str, title: str, author: str, licence: str = CC_BY_4) -> Photograph:
    return Photograph(title, author, licence, LOMIRI, f"usr/share/backgrounds/{file}")


def _skimage(file: str, title: str, author: str, licence: str) -> Photograph:
    return Photograph(title, author, licence, SKIMAGE, f"skimage/data/{file}")


def _palapeli(file: str, title: str, author: str) -> Photograph:
    return Photograph(title, author, PUBLIC_DOMAIN, PALAPELI, f"usr/share/palapeli/collection/{file}")


PHOTOGRAPHS = {
    "aitzgorri": _lomiri("aitzgorri_by_Aitzol_Berasategi.jpg", "Aitzgorri", "Aitzol Berasategi"),
    "friends": _lomiri("friends_by_Aitzol_Berasategi.jpg", "Friends", "Aitzol Berasategi"),
    "life": _lomiri("life_by_Aitzol_Berasategi.jpg", "Life", "Aitzol Berasategi"),
    "picos": _lomiri("picosdeeuropa_by_Aitzol_Berasategi.jpg", "Picos de Europa", "Aitzol Berasategi"),
    "fig": _lomiri("Picture_0B_by_freespace.jpg", "Picture 0B", 'Trevor "Freespace"'),
    "brushes": _lomiri("Picture_1A_by_freespace.jpg", "Picture 1A", 'Trevor "Freespace"'),
    "seeding": _lomiri("seeding_by_Clements_Engelhardt.jpg", "Seeding", "Clemens Engelhardt", CC0),
    "sunset": _lomiri("sunset_by_Aitzol_Berasategi.jpg", "Sunset", "Aitzol Berasategi"),
    "wine": _lomiri("Wine_by_Jakkub_Mede.jpg", "Wine", "Jakub Mede"),
    "chelsea": _skimage("chelsea.png", "Chelsea the cat", "Stefan van der Walt", CC0),
    "coffee": _skimage("coffee.png", "Coffee", "Rachel Michetti", CC0),
    "rocket": _skimage("rocket.jpg", "Rocket on its launch pad", "SpaceX", CC0),
    "hubble": _skimage("hubble_deep_field.jpg", "Hubble eXtreme Deep Field", "NASA, ESA", PUBLIC_DOMAIN),
    "moon": _skimage("moon.png", "Surface of the moon", "NASA", PUBLIC_DOMAIN),
    "gravel": _skimage("gravel.png", "Gravel", "CC0Textures", CC0),
    "grass": _skimage("grass.png", "Grass", "CC0Textures", CC0),
    "brick": _skimage("brick.png", "Brick", "CC0Textures", CC0),
    "china": Photograph("China", "danielbuechele", CC_BY_2, SKLEARN, "sklearn/datasets/images/china.jpg"),
    "dahlia": Photograph("Flower", "vultilion", CC_BY_2, SKLEARN, "sklearn/datasets/images/flower.jpg"),
    "raccoon": Photograph("Raccoon", "unknown, via PIXNIO", PUBLIC_DOMAIN, SCIPY, "scipy/misc/face.dat"),
    "bridge": _palapeli("cincinnati-bridge.jpg", "Roebling Suspension Bridge", "Derek Jensen"),
    "citrus": _palapeli("citrus-fruits.jpg", "Citrus fruits", "US Department of Agriculture"),
    "bee": _palapeli("european-honey-bee.jpg", "European honey bee", "John Severns"),
}


@dataclass(frozen=True)
class Subject:
    """A class of `photo`: its name, and its part (left, top, right, bottom, as shares) of a photograph."""

    name: str
    photograph: str
    box: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0)


SUBJECTS = (
    Subject("autumn leaves", "aitzgorri", (0.0, 0.24, 0.70, 0.60)),
    Subject("green meadow", "aitzgorri", (0.0, 0.62, 1.0, 1.0)),
    Subject("clouds", "picos", (0.0, 0.0, 0.62, 0.44)),
    Subject("mountains", "picos", (0.30, 0.08, 1.0, 0.68)),
    Subject("mountain path", "picos", (0.0, 0.42, 0.75, 1.0)),
    Subject("forest stream", "life"),
    Subject("dogs", "friends", (0.20, 0.18, 0.75, 0.68)),
    Subject("wooden planks", "friends", (0.0, 0.58, 1.0, 1.0)),
    Subject("fig in a bowl", "fig"),
    Subject("paint brushes", "brushes"),
    Subject("dandelions", "seeding"),
    Subject("sunset", "sunset"),
    Subject("drum", "wine", (0.0, 0.45, 0.85, 1.0)),
    Subject("wine bottle", "wine", (0.15, 0.08, 1.0, 0.56)),
    Subject("cat", "chelsea"),
    Subject("cup of coffee", "coffee"),
    Subject("rocket", "rocket"),
    Subject("galaxies", "hubble"),
    Subject("moon", "moon"),
    Subject("gravel", "gravel"),
    Subject("grass", "grass"),
    Subject("brick wall", "brick"),
    Subject("pagoda", "china"),
    Subject("dahlia", "dahlia"),
    Subject("raccoon", "raccoon"),
    Subject("bridge at night", "bridge"),
    Subject("citrus fruits", "citrus"),
    Subject("honey bee", "bee"),
)
