// The divider between two layers: the one to its left is cut at its right, and the other way round.

export class Swipe {
  constructor(map, left, right, tell) {
    this.map = map;
    this.left = left;
    this.right = right;
    this.tell = tell;
    this.share = 50;
    this.isOn = false;
    this.bar = document.getElementById("swipe");
    this.names = [document.getElementById("left-name"), document.getElementById("right-name")];
    const cards = [...document.querySelectorAll(".card")];
    for (const card of cards) new ResizeObserver(() => this.place()).observe(card); // also when one opens or closes
    this.cards = cards;
    map.on("move zoomend resize viewreset", () => this.cut());
    this.bar.addEventListener("keydown", (event) => this.key(event));
    this.bar.addEventListener("pointerdown", (event) => {
      this.bar.setPointerCapture(event.pointerId);
      event.preventDefault();
      this.bar.focus();
    });
    this.bar.addEventListener("pointermove", (event) => {
      if (this.bar.hasPointerCapture(event.pointerId)) this.set((100 * event.clientX) / innerWidth);
    });
  }

  turn(isOn, names = ["", ""]) {
    this.isOn = isOn;
    this.bar.hidden = !isOn;
    this.names.forEach((name, side) => {
      name.hidden = !isOn;
      name.textContent = names[side];
    });
    this.set(this.share);
  }

  set(share) {
    this.share = Math.min(100, Math.max(0, Math.round(share * 10) / 10));
    this.bar.setAttribute("aria-valuenow", Math.round(this.share));
    this.bar.setAttribute("aria-valuetext", `${Math.round(this.share)} % from the left`);
    this.bar.style.left = `${this.share}%`;
    this.place();
    this.cut();
    this.tell();
  }

  // A name stands beside the divider where no panel covers it, else beside the panel, or not at all.
  place() {
    if (!this.isOn) return;
    const cards = this.cards.filter((card) => !card.hidden).map((card) => card.getBoundingClientRect());
    const middle = (innerWidth * this.share) / 100;
    this.names.forEach((name, side) => {
      const edges = cards.map((card) => (side ? card.right : card.left)).filter((edge) => (side ? edge > middle : edge < middle));
      const heights = [innerHeight / 2 + 26, ...cards.map((card) => card.bottom + 8), ...cards.map((card) => card.top - 34)];
      const isFree = (left, top) => {
        name.style.left = `${left}px`;
        name.style.top = `${top}px`;
        const box = name.getBoundingClientRect();
        return box.left >= 0 && box.right <= innerWidth && box.top >= 8 && box.bottom <= innerHeight - 20 && cards.every((card) => box.right <= card.left || box.left >= card.right || box.bottom <= card.top || box.top >= card.bottom);
      };
      const isPlaced = [middle, ...edges].some((left) => heights.some((top) => isFree(left, top)));
      name.style.visibility = isPlaced ? "" : "hidden";
    });
  }

  cut() {
    const [left, right] = [this.left.element(), this.right.element()];
    if (!this.isOn) {
      left.style.clip = "";
      return;
    }
    const size = this.map.getSize();
    const corner = this.map.containerPointToLayerPoint([0, 0]);
    const end = this.map.containerPointToLayerPoint(size);
    const edge = corner.x + (size.x * this.share) / 100;
    left.style.clip = `rect(${corner.y}px, ${edge}px, ${end.y}px, ${corner.x}px)`;
    right.style.clip = `rect(${corner.y}px, ${end.x}px, ${end.y}px, ${edge}px)`;
  }

  key(event) {
    const steps = { ArrowLeft: -2, ArrowRight: 2, ArrowDown: -2, ArrowUp: 2, PageDown: -10, PageUp: 10 };
    if (event.key in steps) this.set(this.share + steps[event.key]);
    else if (event.key === "Home") this.set(0);
    else if (event.key === "End") this.set(100);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }
}
