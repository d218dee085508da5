// An option with the functions that it names by a text (page.h), for pages and for pictures drawn by Node.
'use strict';
const moesim_option = (() => {
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
  return with_functions;
})();
