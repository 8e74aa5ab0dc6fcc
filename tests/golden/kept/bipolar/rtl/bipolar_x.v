// input `x` of bipolar
module bipolar_x (
  input  wire clk,
  input  wire [15:0] in_x,
  output wire [12:0] result);

  wire [1:0] x0 = in_x[1:0];
  wire y0 = x0[1];
  reg y0_r1;
  wire [1:0] x1 = in_x[3:2];
  wire y1 = x1[1];
  reg y1_r1;
  wire [1:0] x2 = in_x[5:4];
  wire y2 = x2[1];
  wire [1:0] x3 = in_x[7:6];
  wire y3 = x3[1];
  wire [1:0] x4 = in_x[9:8];
  wire y4 = x4[1];
  reg y4_r1;
  wire [1:0] x5 = in_x[11:10];
  wire y5 = x5[1];
  reg y5_r1;
  wire [1:0] x6 = in_x[13:12];
  wire y6 = x6[1];
  reg y6_r1;
  wire [1:0] x7 = in_x[15:14];
  wire y7 = x7[1];
  assign result = {y7, y6_r1, y6, y5_r1, y5, y4_r1, y4, y3, y2, y1_r1, y1, y0_r1, y0};

  always @(posedge clk) begin
    y0_r1 <= y0;
    y1_r1 <= y1;
    y4_r1 <= y4;
    y5_r1 <= y5;
    y6_r1 <= y6;
  end

endmodule
