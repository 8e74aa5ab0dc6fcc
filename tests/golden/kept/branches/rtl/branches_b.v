// input `b` of branches
module branches_b (
  input  wire clk,
  input  wire [19:0] in_b,
  output wire [19:0] result);

  wire [4:0] x0 = in_b[4:0];
  reg [4:0] x0_r1;
  wire [4:0] x1 = in_b[9:5];
  reg [4:0] x1_r1;
  wire [4:0] x2 = in_b[14:10];
  reg [4:0] x2_r1;
  wire [4:0] x3 = in_b[19:15];
  reg [4:0] x3_r1;
  assign result = {x3_r1, x2_r1, x1_r1, x0_r1};

  always @(posedge clk) begin
    x0_r1 <= x0;
    x1_r1 <= x1;
    x2_r1 <= x2;
    x3_r1 <= x3;
  end

endmodule
