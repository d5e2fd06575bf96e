// Tiles of one layer and time. The frame shown stays until the next one is complete, so that nothing flickers.

const PATIENCE = 20000;

// East of the antimeridian tiles have the numbers of those in the west.
const Tiles = L.TileLayer.extend({
  getTileUrl({ x, y, z }) {
    const around = 2 ** z;
    return L.TileLayer.prototype.getTileUrl.call(this, { x: ((x % around) + around) % around, y, z });
  },
});

export class Frames {
  // `fail` is called when a tile cannot be had.
  constructor(map, pane, fail) {
    this.map = map;
    this.fail = fail;
    this.pane = pane;
    this.shown = null;
    this.coming = null;
    map.createPane(pane);
  }

  element() {
    return this.map.getPane(this.pane);
  }

  show(info, layer, time) {
    const address = `/api/tiles/${layer}/${time}/{z}/{x}/{y}.png?v=${info.version}`;
    if (this.shown?.address === address && !this.coming) return Promise.resolve();
    this.coming?.frame.remove();
    const [west, south, east, north] = info.bounds;
    const frame = new Tiles(address, {
      pane: this.pane,
      bounds: [[south, west], [north, east]],
      noWrap: true,
      opacity: 0,
      maxZoom: 18,
      keepBuffer: 1,
      updateWhenZooming: false,
    });
    return new Promise((done) => {
      const turn = { frame, address };
      const swap = () => {
        if (this.coming !== turn) return done();
        clearTimeout(timer);
        this.coming = null;
        frame.setOpacity(1);
        this.shown?.frame.remove();
        this.shown = turn;
        done();
      };
      const timer = setTimeout(swap, PATIENCE);
      this.coming = turn;
      frame.once("load", swap);
      frame.on("tileerror", () => this.fail());
      frame.addTo(this.map);
      if (!frame.isLoading()) swap();
    });
  }

  clear() {
    for (const turn of [this.shown, this.coming]) turn?.frame.remove();
    this.shown = this.coming = null;
  }
}
