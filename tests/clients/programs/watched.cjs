// End a Node program that would leave this machine: node --require watched.cjs
const net = require('node:net');
const fs = require('node:fs');
const connect = net.Socket.prototype.connect;
net.Socket.prototype.connect = function (...parts) {
  const options = Array.isArray(parts[0]) ? parts[0][0] : parts[0];
  const host = options && typeof options === 'object' ? options.host : parts[1];
  if (host && !['127.0.0.1', 'localhost'].includes(host)) {
    fs.appendFileSync(process.env.CLIENT_LEFT, `connect ${host}\n`);
    throw new Error(`${host} is not on this machine`);
  }
  return connect.apply(this, parts);
};
