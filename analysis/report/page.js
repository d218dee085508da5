// Draws the charts from the options that stand in the page, and sorts tables by a click on a column's head.
'use strict';
(() => {
  const digits = (value) => {
    if (value === 0) return '0';
    const size = Math.abs(value);
    return size >= 100 ? value.toFixed(0) : size >= 10 ? value.toFixed(1) : String(Number(value.toPrecision(3)));
  };
  const scaled = (value, steps) => {
    const size = Math.abs(value);
    const [factor, unit] = steps.find(([from]) => size >= from) || steps[steps.length - 1];
    return digits(value / factor) + ' ' + unit;
  };
  const seconds = (value) => scaled(value, [[1, 's'], [1e-3, 'ms'], [1e-6, 'us'], [1e-9, 'ns']]);
  const bytes = (value) =>
    scaled(value, [[2 ** 40, 'TiB'], [2 ** 30, 'GiB'], [2 ** 20, 'MiB'], [2 ** 10, 'KiB'], [1, 'B']]);
  const filled = (format) => (value) => value == null || value === '-' ? '-' : format(Number(value));

  const functions = {
    '@seconds': filled(seconds),
    '@bytes': filled(bytes),
    '@percent': filled((value) => digits(100 * value) + ' %'),
    '@times': filled((value) => value.toFixed(2) + 'x'),
    '@count': filled((value) => Math.round(value).toLocaleString('en-US')),
  };
  const with_functions = (value) => {
    if (typeof value === 'string') {
      if (value.startsWith('@unit:')) return filled((number) => digits(number) + ' ' + value.slice(6));
      return Object.hasOwn(functions, value) ? functions[value] : value;
    }
    if (Array.isArray(value)) return value.map(with_functions);
    if (value === null || typeof value !== 'object') return value;
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, with_functions(inner)]));
  };
  const note_below = (place, words) => {
    const note = document.createElement('p');
    note.className = 'caption';
    note.textContent = words;
    place.after(note);
  };

  const charts = [];
  for (const source of document.querySelectorAll('script.option')) {
    const place = source.previousElementSibling;
    try {
      const option = with_functions(JSON.parse(source.textContent));
      const { height = 420, note } = option.moesim || {};
      delete option.moesim;
      place.style.height = height + 'px';
      if (note) note_below(place, note);
      // At least two device pixels for one of the page: a printed canvas is as sharp as it was drawn.
      const chart = echarts.init(place, null, { devicePixelRatio: Math.max(2, window.devicePixelRatio) });
      chart.setOption({ animation: false, ...option });
      charts.push(chart);
    } catch (error) {
      place.className = 'trouble';
      place.textContent = 'This chart could not be drawn: ' + error.message;
      console.error(error);
    }
  }
  const fit = () => charts.forEach((chart) => chart.resize());
  window.addEventListener('resize', fit);
  window.addEventListener('beforeprint', fit);
  window.addEventListener('afterprint', fit);

  const key_of = (row, column) => {
    const cell = row.cells[column];
    const key = cell.dataset.value === undefined ? cell.textContent.trim() : cell.dataset.value;
    return key !== '' && Number.isFinite(Number(key)) ? Number(key) : key;
  };
  // Numbers before words, so that a plan without a value stays at the end of a rising order.
  const compare = (a, b) => typeof a === typeof b ? (a < b ? -1 : a > b ? 1 : 0) : typeof a === 'number' ? -1 : 1;
  for (const table of document.querySelectorAll('table.sortable')) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => head.querySelector('button').addEventListener('click', () => {
      const falling = head.getAttribute('aria-sort') === 'ascending';
      heads.forEach((other) => other.removeAttribute('aria-sort'));
      head.setAttribute('aria-sort', falling ? 'descending' : 'ascending');
      const sorted = [...table.tBodies[0].rows].sort((a, b) => compare(key_of(a, column), key_of(b, column)));
      table.tBodies[0].append(...(falling ? sorted.reverse() : sorted));
    }));
  }
})();
