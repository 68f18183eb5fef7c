// Draws every figure of the page once, and again on paper's width when it is printed.
document.querySelectorAll(".plot").forEach((place) => {
  const figure = JSON.parse(document.getElementById(place.dataset.figure).textContent);
  figure.layout.height = place.clientHeight;
  Plotly.newPlot(place, figure.data, figure.layout, { displayModeBar: false, responsive: true });
});
document.querySelectorAll("details").forEach((part) => {
  part.addEventListener("toggle", () => {
    part.querySelectorAll(".plot").forEach((place) => Plotly.Plots.resize(place));
  });
});
