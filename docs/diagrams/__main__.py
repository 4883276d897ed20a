"""Draw all diagrams: `python docs/diagrams` writes docs/figures/*.svg."""

from pathlib import Path

from figures import FIGURES

if __name__ == "__main__":
    for name, draw in FIGURES.items():
        path = Path(__file__).parent.parent / "figures" / f"{name}.svg"
        path.write_text(draw().svg(), encoding="utf-8")
