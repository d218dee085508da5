// Draws the charts from the options that stand in the page, and sorts tables by a click on a column's head.
'use strict';
(() => {
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
      const option = moesim_option(JSON.parse(source.textContent));
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
