// Two reports: a link leads both to the same part. A report runs no script, so only its address can be changed.

document.addEventListener("click", (event) => {
  const link = event.target.closest("nav a");
  if (!link) return;
  event.preventDefault();
  for (const frame of document.querySelectorAll("iframe")) frame.src = frame.src.split("#")[0] + link.hash;
});
