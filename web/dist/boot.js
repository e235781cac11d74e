// Sets the theme before the first paint.
(function () {
  try {
    var theme = localStorage.getItem('parley.theme')
    if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme
  } catch (e) { /* storage may be forbidden: the system's theme then */ }
})()
