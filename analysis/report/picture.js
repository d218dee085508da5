// Draws one chart as SVG with Node: the option as JSON on standard input, the picture on standard output. Follows
// echarts.min.js and chart_functions.js in one file.
(() => {
  const echarts = module.exports;
  const option = moesim_option(JSON.parse(require('fs').readFileSync(0, 'utf8')));
  const { height = 420, width = 900 } = option.moesim || {};
  delete option.moesim;
  const chart = echarts.init(null, null, { renderer: 'svg', ssr: true, width, height });
  chart.setOption({ animation: false, backgroundColor: '#fff', ...option, textStyle: { fontFamily: 'sans-serif' } });
  process.stdout.write(chart.renderToSVGString());
  chart.dispose();  // its clock would keep Node running
})();
