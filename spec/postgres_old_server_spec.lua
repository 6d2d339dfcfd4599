-- A server that is older than what convstore needs, played by a few bytes: none that old is in any package.
local check = require "spec.support.check"
local convstore = require "convstore"
local process = require "spec.support.process"
local shell = require "spec.support.shell"

-- Answers every connection as PostgreSQL 12 does when it lets a login in (chapter "Message Formats" of its manual).
local SERVER = [[
use IO::Socket::UNIX;
my $listener = IO::Socket::UNIX->new(Local => $ARGV[0], Listen => 5) or die "no socket: $!";
$| = 1;
print "ready\n";
sub status {
  my $body = join("\0", @_) . "\0";
  return "S" . pack("N", 4 + length $body) . $body;
}
while (my $client = $listener->accept) {
  sysread $client, my $startup, 4096;
  syswrite $client, "R" . pack("NN", 8, 0) . status("server_version", "12.22")
    . status("client_encoding", "UTF8") . "K" . pack("NNN", 12, 1, 1) . "Z" . pack("N", 5) . "I";
  sysread $client, my $rest, 4096;
  close $client;
}
]]

describe("a server that is too old #postgres", function()
  it("is unsupported, at once", function()
    local folder = assert(shell.folder())
    local socket = folder .. "/.s.PGSQL.5432"
    shell.write(folder .. "/server.pl", SERVER)
    local server = process.command(folder, ("perl %s %s"):format(shell.quote(folder .. "/server.pl"),
      shell.quote(socket)))
    assert.equal("ready", server:line())
    check.fails("unsupported", "13", convstore.open(("postgres:host=%s user=x dbname=x"):format(folder)))
    server:kill()
    server:finish()
    shell.remove(folder)
  end)
end)
