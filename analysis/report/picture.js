// Draws one chart as SVG with Node: the option as JSON on standard input, the picture on standard output. Follows
// echarts.min.js and chart_functions.js in one file.
(() => {
  const echarts = module.exports;
  // Node has no fonts to measure. Wide ones (DejaVu Sans) take half of their size a letter in labels: room for a little more is enough.
  const width_of = (text, size) => 0.54 * size * String(text).length;
  echarts.setPlatformAPI({
    measureText: (text, font) => ({ width: width_of(text, parseFloat((/([0-9.]+)px/.exec(font || '') || [0, 12])[1])) }),
  });
  const option = moesim_option(JSON.parse(require('fs').readFileSync(0, 'utf8')));
  const { height: asked = 420, width = 900 } = option.moesim || {};
  delete option.moesim;

  // A picture cannot be scrolled: the legend takes the rows it needs, and what is below moves down.
  const list = (value) => value === undefined ? [] : Array.isArray(value) ? value : [value];
  const legend_rows = (legend) => {
    const names = legend.data || list(option.series).map((series) => series.name).filter((name) => name !== undefined);
    let rows = 1, right = 0;
    for (const name of new Set(names.map((name) => name.name || name))) {
      const item = 30 + width_of(name, 12);
      if (right > 0 && right + item > width - 10) [rows, right] = [rows + 1, 0];
      right += item + (legend.itemGap || 10);
    }
    return rows;
  };
  let more = 0;
  for (const legend of list(option.legend)) {
    if (legend.show === false || legend.type !== 'scroll') continue;
    legend.type = 'plain';
    more = Math.max(more, 22 * (legend_rows(legend) - 1));
  }
  for (const part of [...list(option.grid), ...list(option.title)]) if (typeof part.top === 'number') part.top += more;
  const height = asked + more;
  const chart = echarts.init(null, null, { renderer: 'svg', ssr: true, width, height });
  chart.setOption({ animation: false, backgroundColor: '#fff', ...option, textStyle: { fontFamily: 'sans-serif' } });
  process.stdout.write(chart.renderToSVGString());
  chart.dispose();  // its clock would keep Node running
})();
