// Before the first paint: with a script the panels are tabs, without one they follow each other.
document.documentElement.classList.add("scripted");
if (localStorage.getItem("still")) document.documentElement.classList.add("still");
