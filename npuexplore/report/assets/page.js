"use strict";
(function () {
  const places = Array.from(document.querySelectorAll("[data-figure]"));
  const touch = window.matchMedia("(pointer: coarse)").matches;

  function colour(name) {
    return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  }

  function resolved(value) {
    if (typeof value === "string") {
      const match = /^var\((--[a-z0-9-]+)\)$/.exec(value);
      return match ? colour(match[1]) : value;
    }
    if (Array.isArray(value)) return value.map(resolved);
    if (value && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, resolved(item)]));
    }
    return value;
  }

  function draw() {
    for (const place of places) {
      const spec = resolved(JSON.parse(document.getElementById(place.dataset.figure).textContent));
      if (touch) spec.layout.dragmode = false;
      Plotly.react(place, spec.data, spec.layout, {
        responsive: true, displayModeBar: false,
      });
    }
  }

  function onPaper() {
    document.documentElement.dataset.theme = "light";
    for (const details of document.querySelectorAll("details")) details.open = true;
    draw();
  }

  function onScreen() {
    delete document.documentElement.dataset.theme;
    draw();
  }

  draw();
  const watcher = new ResizeObserver((entries) => {
    for (const entry of entries) Plotly.Plots.resize(entry.target);
  });
  places.forEach((place) => watcher.observe(place));
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  window.addEventListener("beforeprint", onPaper);
  window.addEventListener("afterprint", onScreen);
})();
