"""From the first byte on stdin to the exit code.

frames     bytes → JSON values, and back to a frame after any damage
writer     JSON bodies → stdout, in its own thread, with bounds
channel    the two ends of stdio, and the guard that keeps stdout clean
messages   what clients send, as Structs
protocol   the state machine: initialize … shutdown, errors, cancellation
loop       reads messages in order until it is time to leave, and says with which exit code
parent     notices that the editor died
"""
