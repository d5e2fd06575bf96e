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
    for (const part of [this.bar, ...this.names]) part.style.left = `${this.share}%`;
    this.cut();
    this.tell();
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
