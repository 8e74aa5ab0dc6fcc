// branches: parallel pipeline of network `branches`.
//
// Latency 2 cycles: an input sampled at one rising edge of clk gives an output that can be sampled
// 2 edges later. A new input every cycle. Made for 5 ns on xcvu9p-flga2104-2L-e; the delay model says 4.741 ns.
// Element 0 stands in the low bits of each port; every element of a port has the same width and holds an integer
// code, two's complement where signed. Real value = scale * code.
//   in_a: 6 x 6 bits signed, shape [6], scale 1/8
//   in_b: 4 x 5 bits unsigned, shape [4], scale 1/16
//   out_left: 4 x 5 bits signed, shape [4], scale 1/16
//   out_right_softmax: 5 x 8 bits signed, shape [5], scale 1/8
//   out_other: 3 x 10 bits signed, shape [3], scale 1/128
// rst (synchronous, active high) clears the valid bits only; data need no reset.
module branches (
  input  wire clk,
  input  wire rst,
  input  wire in_valid,
  input  wire [35:0] in_a,
  input  wire [19:0] in_b,
  output wire out_valid,
  output wire [19:0] out_left,
  output wire [39:0] out_right_softmax,
  output wire [29:0] out_other);

  // One bit per register stage.
  reg [1:0] valid;
  assign out_valid = valid[1];
  wire [35:0] a;
  branches_a u_a (
    .in_a(in_a),
    .result(a));
  wire [19:0] b;
  branches_b u_b (
    .clk(clk),
    .in_b(in_b),
    .result(b));
  wire [73:0] trunk;
  branches_trunk u_trunk (
    .from_a(a),
    .result(trunk));
  wire [34:0] trunk_1;
  branches_trunk_1 u_trunk_1 (
    .clk(clk),
    .from_trunk(trunk),
    .result(trunk_1));
  wire [35:0] right;
  branches_right u_right (
    .clk(clk),
    .from_trunk_1(trunk_1),
    .result(right));
  wire [42:0] left;
  branches_left u_left (
    .from_trunk_1(trunk_1),
    .result(left));
  wire [19:0] left_1;
  branches_left_1 u_left_1 (
    .clk(clk),
    .from_left(left),
    .result(left_1));
  wire [27:0] other;
  branches_other u_other (
    .clk(clk),
    .from_b(b),
    .result(other));
  assign out_left = {left_1[19:15], left_1[14:10], left_1[9:5], left_1[4:0]};
  assign out_right_softmax = {right[6], right[6:0], right[35:28], 1'd0, right[27:21], right[20], right[20:14],
      right[13], right[13:7]};
  assign out_other = {other[27], other[27:19], other[18], other[18:10], other[9:0]};

  always @(posedge clk) begin
    if (rst) begin
      valid <= 2'd0;
    end else begin
      valid <= {valid[0], in_valid};
    end
  end

endmodule
