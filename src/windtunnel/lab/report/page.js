// Draws every figure of the page, and fits it anew when its place gets another width.
const places = document.querySelectorAll(".plot");
const fit = () => places.forEach((place) => Plotly.Plots.resize(place));
places.forEach((place) => {
  const figure = JSON.parse(document.getElementById(place.dataset.figure).textContent);
  Plotly.newPlot(place, figure.data, figure.layout, { displayModeBar: false, responsive: true });
});
document.querySelectorAll("details").forEach((part) => part.addEventListener("toggle", fit));
window.addEventListener("beforeprint", fit);
window.addEventListener("afterprint", fit);
