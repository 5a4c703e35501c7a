// Loaded before the Playground, which listens on every interface and has no option against it.
const { Server } = require('node:net')

const listen = Server.prototype.listen
Server.prototype.listen = function (port, ...rest) {
  return listen.call(this, { port: Number(port) || 0, host: '127.0.0.1' }, ...rest.filter(r => typeof r === 'function'))
}
